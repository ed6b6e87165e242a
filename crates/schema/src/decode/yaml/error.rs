//! What is wrong with YAML, in the words of upstream's parser (`go.yaml.in/yaml/v2`, a port of libyaml), as far as ours
//! finds the same.

use granit_parser::{ErrorKind as Kind, ScanError};

use super::super::scan::TOO_DEEP;

/// `line 2: did not find expected ',' or ']'`.
pub fn text(error: &ScanError, source: &str) -> String {
    let Some(mut problem) = problem(error.kind()) else { return TOO_DEEP.to_owned() };
    // What ends where an item must come lacks the item first.
    if matches!(error.kind(), Kind::UnclosedFlowCollection { .. }) && source.trim_end().ends_with(['[', ',']) {
        problem = "did not find expected node content";
    }
    format!("line {}: {problem}", error.marker().line())
}

/// Whether a token is none that belongs here, though it is one.
pub fn is_of_place(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::ExpectedDocumentStart
            | Kind::ExpectedNodeContent
            | Kind::ExpectedBlockMappingKey
            | Kind::ExpectedBlockSequenceEntry
            | Kind::MissingDocumentEndBeforeDirective
            | Kind::UnclosedFlowCollection { .. }
            | Kind::UnexpectedEofFlowSequence
            | Kind::UnexpectedEofFlowMapping
            | Kind::InvalidTrailingSingleQuotedScalar
            | Kind::InvalidTrailingDoubleQuotedScalar
            | Kind::InvalidIndentation
            | Kind::CommentInterceptedScalar
    )
}

fn problem(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::RecursionLimitExceeded => return None,
        Kind::UnexpectedEofFlowSequence | Kind::ExpectedFlowSequenceSeparator | Kind::UnclosedFlowCollection { open: '[' } => {
            "did not find expected ',' or ']'"
        }
        Kind::UnexpectedEofFlowMapping
        | Kind::UnexpectedEofImplicitFlowMapping
        | Kind::ExpectedFlowMappingSeparator
        | Kind::UnclosedFlowCollection { .. } => "did not find expected ',' or '}'",
        Kind::MismatchedFlowCollectionEnd { open: '[', .. } => "did not find expected ',' or ']'",
        Kind::MismatchedFlowCollectionEnd { .. } => "did not find expected ',' or '}'",
        Kind::UnexpectedEofBlockSequence | Kind::ExpectedBlockSequenceEntry => "did not find expected '-' indicator",
        Kind::UnexpectedEofBlockMapping | Kind::ExpectedBlockMappingKey | Kind::InvalidIndentation => "did not find expected key",
        Kind::ExpectedNodeContent | Kind::MisplacedFlowCollectionEnd | Kind::UnexpectedEof => "did not find expected node content",
        Kind::ExpectedDocumentStart | Kind::MissingDocumentEndBeforeDirective | Kind::InvalidDocumentEnd => {
            "did not find expected <document start>"
        }
        Kind::ExpectedStreamStart => "did not find expected <stream-start>",
        Kind::DuplicateVersionDirective => "found duplicate %YAML directive",
        Kind::UnsupportedYamlMajorVersion => "found incompatible YAML document",
        Kind::DuplicateTagDirective => "found duplicate %TAG directive",
        Kind::UndeclaredTagHandle => "found undefined tag handle",
        Kind::UnknownAnchor => "unknown anchor referenced",
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey => "could not find expected ':'",
        Kind::MappingKeyNotAllowed => "mapping keys are not allowed in this context",
        Kind::MappingValueNotAllowed | Kind::InvalidColonPlacement | Kind::InvalidMappingValueWhitespace => {
            "mapping values are not allowed in this context"
        }
        Kind::BlockEntryInFlowCollection | Kind::BlockSequenceEntryNotAllowed | Kind::InvalidBlockEntryWhitespace => {
            "block sequence entries are not allowed in this context"
        }
        Kind::TabAtBlockScalarStart | Kind::InvalidBlockScalarIndent => {
            "found a tab character where an indentation space is expected"
        }
        Kind::ZeroBlockScalarIndent => "found an indentation indicator equal to 0",
        Kind::InvalidBlockScalarHeader => "did not find expected comment or line break",
        Kind::DocumentIndicatorInQuotedScalar => "found unexpected document indicator",
        Kind::UnclosedQuotedScalar => "found unexpected end of stream",
        Kind::UnknownQuotedScalarEscape => "found unknown escape character",
        Kind::InvalidQuotedScalarHexEscape => "did not find expected hexdecimal number",
        Kind::InvalidLowSurrogateHexEscape
        | Kind::InvalidLowSurrogate
        | Kind::MissingLowSurrogate
        | Kind::UnpairedLowSurrogate
        | Kind::InvalidUnicodeEscape => "found invalid Unicode character escape code",
        Kind::TabInIndentation | Kind::TabInBlockIndentation | Kind::TabNotAllowed | Kind::TabInPlainScalar => {
            "found character that cannot start any token"
        }
        Kind::MissingAnchorOrAliasName => "did not find expected alphabetic or numeric character",
        Kind::ExpectedWhitespace | Kind::InvalidTagTerminator | Kind::InvalidTagDirectiveTerminator => {
            "did not find expected whitespace or line break"
        }
        Kind::UnclosedVerbatimTag => "did not find the expected '>'",
        Kind::UnexpectedCharacter { .. } | Kind::PlainScalarStartsWithDashFlowIndicator => {
            "found character that cannot start any token"
        }
        _ => "did not find expected key",
    })
}
