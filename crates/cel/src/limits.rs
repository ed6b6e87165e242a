//! Bounds of expressions and their budgets (upstream: `apiserver/pkg/apis/cel`, `apiextensions-apiserver`'s validation of
//! `x-kubernetes-validations`, cel-go's parser).

/// Characters of an expression.
pub const EXPRESSION: usize = 100_000;
/// How deep an expression may nest, by each rule of the grammar.
pub const DEPTH: usize = 250;
/// Nodes of an expression after its macros have been expanded: some of them double their target.
pub const NODES: usize = 500_000;
/// Nodes of all rules of a CustomResourceDefinition's version; upstream has no bound. A rule that cannot be compiled counts as
/// a hundredth.
pub const PER_DEFINITION_NODES: usize = 5_000_000;
/// Messages of one compilation; the rest is counted.
pub const MESSAGES: usize = 100;

/// What one evaluation may cost.
pub const PER_CALL: u64 = 1_000_000;
/// What all expressions of one object, or of one policy's binding, may cost at run time.
pub const RUNTIME: u64 = 10_000_000;
/// What all match conditions of one webhook or binding may cost at run time.
pub const MATCH_CONDITIONS: u64 = 2_500_000;
/// What one rule of a CustomResourceDefinition may be estimated at.
pub const PER_EXPRESSION_ESTIMATE: u64 = 10_000_000;
/// What all rules of a CustomResourceDefinition may be estimated at.
pub const PER_DEFINITION_ESTIMATE: u64 = 100_000_000;
/// Bytes of a message that a `messageExpression` makes.
pub const MESSAGE: usize = 5 << 10;
/// Bytes of the largest request; what the sizes of values without a limit are derived from.
pub const REQUEST: u64 = 3 << 20;
/// Steps of a comprehension between two looks at the interrupt.
pub const CHECK_FREQUENCY: u32 = 100;
