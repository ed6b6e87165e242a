//! Expressions from a grammar with types; now and then a type is wrong.

/// SplitMix64: the same cases everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("small")
    }
}

/// What a row of the grammar begins with is the type that it gives; in it stands for a type what it begins a word with `$`.
const ROWS: &[(&str, &[&str])] = &[
    ("int", &[
        "0", "1", "-3", "42", "9223372036854775807", "i", "self.replicas", "m['a']", "m['z']", "li[0]", "li[$int]", "$int + $int", "$int - $int",
        "$int * $int", "$int / $int", "$int % $int", "-$pint", "size($string)", "$pstring.size()", "$plist.size()", "size($map)", "($bool ? $int : $int)",
        "int($double)", "int($string)", "int('17')", "int(u)", "int(t)", "int(r)", "$pstring.indexOf($string)", "$pstring.lastIndexOf($string)",
        "$pstring.indexOf($string, $int)", "$plist.sum()", "$plist.min()", "$plist.max()", "$plist.indexOf($int)", "li.lastIndexOf(1)", "t.getFullYear()",
        "t.getMonth()", "t.getHours('America/New_York')", "t.getDayOfWeek()", "t.getDayOfYear('+02:30')", "r.getMinutes()", "r.getSeconds()", "t.getMilliseconds()",
        "self.items[0].count", "self.items[$int].count", "x.a", "quantity('2k').asInteger()", "quantity($string).sign()", "sign(quantity('-1'))",
        "semver('1.2.3').minor()", "ip('1.2.3.4').family()", "cidr('10.0.0.0/8').prefixLength()", "optional.of($int).value()", "m[?'a'].orValue($int)",
        "{'k': $int}.k", "{'k': $int}['k']", "[$int, $int][0]", "optional.none().orValue($int)", "li.first().value()", "dyn($int)", "li[?$int].or(optional.of(3)).value()",
        "quantity('1').compareTo(quantity('2'))", "self.items.map(z, z.count).sum()",
    ]),
    ("uint", &["0u", "7u", "u", "uint($int)", "$uint + $uint", "$uint - $uint", "$uint * $uint", "$uint / $uint", "$uint % $uint", "uint('3')", "uint(d)"]),
    ("double", &["0.0", "1.5", "-2e3", "d", "self.ratio", "$double + $double", "$double - $double", "$double * $double", "$double / $double", "double($int)", "double('2.25')",
        "double($string)", "-$pdouble", "quantity('1500m').asApproximateFloat()", "[1.5, $double].max()"]),
    ("bool", &[
        "true", "false", "b", "self.on", "$bool && $bool", "$bool || $bool", "!$pbool", "$int == $int", "$int != $int", "$int < $int", "$int <= $int", "$int > $int",
        "$int >= $int", "$double < $double", "$string == $string", "$string < $string", "$string != $string", "$int in $list", "$string in $strings", "$string in $map",
        "$pstring.contains($string)", "$pstring.startsWith($string)", "$pstring.endsWith($string)", "$pstring.matches('^[a-z]+')", "$pstring.matches($string)",
        "has(self.missing)", "has(self.name)", "has(x.a)", "has(x.zz)", "has(m.a)", "has({'a': 1}.b)", "$plist.all(v, $vbool)", "$plist.exists(v, $vbool)", "$plist.exists_one(v, $vbool)",
        "self.items.all(z, z.count > $int)", "self.items.exists(z, has(z.more) && z.more == $string)", "{'app': 1}.all(k, self.labels[k].size() < $int)", "$plist.isSorted()",
        "li.all(n, v, n < v)", "{'a': 1}.exists(k, v, v > $int)", "$list == $list", "$map == $map", "$int == dyn($double)", "$uint == u", "t < timestamp('2030-01-01T00:00:00Z')",
        "r > duration('1h')", "isIP($string)", "isCIDR($string)", "isURL($string)", "isQuantity($string)", "isSemver($string)", "isIP('::1')", "ip('127.0.0.1').isLoopback()",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3')", "cidr('10.0.0.0/8').containsIP($string)", "cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))", "quantity('1k').isGreaterThan(quantity('999'))",
        "sets.contains($list, $list)", "sets.intersects($list, $list)", "sets.equivalent($list, $list)", "optional.of($int).hasValue()", "m[?$string].hasValue()", "x.?a.hasValue()",
        "x.?d.?e.hasValue()", "format.dns1123Label().validate($string).hasValue()", "!format.named('uuid').value().validate($string).hasValue()", "($bool ? $bool : $bool)",
        "$bytes == y", "$optional == optional.of(1)", "$int in [1, 2, 3]", "$string in ['a', 'b']", "quantity($string) == quantity('1')", "type($int) == int", "x.f", "dyn($bool)",
        "url('https://example.com:80/a?b=c').getPort() == '80'", "ip.isCanonical('::1')", "$pstrings.exists(e, e == $string)", "self.tags.exists_one(e, e == 'a')", "$uint < $int", "$double >= $int",
        "$list.all(v, v in $list)", "semver('1.0.0').isLessThan(semver('2.0.0'))", "bool($string)", "has(self.items[0].more)", "has(($bool ? self : self).name)",
    ]),
    ("string", &[
        "''", "'a'", "'abc'", "\"wörld\"", "'1'", "s", "self.name", "self.missing", "self.labels.app", "self.labels['tier']", "self.labels[$string]", "ls[0]", "ls[$int]", "$string + $string",
        "$pstring.substring($int)", "$pstring.substring($int, $int)", "$pstring.charAt($int)", "$pstring.replace('a', 'bb')", "$pstring.replace($string, $string)", "$pstring.replace('a', $string, $int)",
        "$pstring.lowerAscii()", "$pstring.upperAscii()", "$pstring.trim()", "$pstrings.join()", "$pstrings.join($string)", "string($int)", "string($double)", "string($bool)", "string(r)", "string(t)", "string($bytes)", "string($uint)",
        "($bool ? $string : $string)", "self.items[0].key", "$pstring.find('[a-z]+')", "$pstring.find($string)", "'%d and %s'.format([$int, $string])", "'%s'.format([$list])", "'%.2f'.format([$double])", "'%x|%b|%o'.format([$int, $int, $uint])",
        "'%s %s'.format([$map, $double])", "strings.quote($string)", "x.b", "string(ip('::1'))", "string(cidr('10.0.0.0/8').masked())", "url('https://u@example.com/p%20q?x=1').getHost()", "url($string).getScheme()",
        "optional.of($string).orValue('z')", "self.?missing.orValue($string)", "ls.sort()[0]", "{'a': $string}.a", "type($int) == int ? 'y' : 'n'", "self.items[$int].more", "'%s'.format([x])",
    ]),
    ("bytes", &["b''", "b'abc'", "y", "bytes($string)", "$bytes + $bytes"]),
    ("list", &[
        "[]", "[1]", "[1, 2, 3]", "[$int, $int]", "li", "self.numbers", "$list + $list", "$plist.map(v, $vint)", "$plist.filter(v, $vbool)", "$plist.map(v, $vbool, $vint)", "$plist.reverse()", "$plist.sort()", "$plist.distinct()",
        "$plist.slice($int, $int)", "lists.range(3)", "[[1, 2], [$int]].flatten()", "li.transformList(n, v, n + v)", "li.transformList(n, v, v > 1, n)", "self.items.map(z, z.count)", "m.map(k, m[k]).sort()", "[?m[?'a'], 7]", "li.sortBy(v, -v)",
        "($bool ? $list : $list)", "[optional.of(1), optional.none()].unwrapOpt()",
    ]),
    ("strings", &["['a']", "ls", "self.tags", "[$string, $string]", "$pstring.split(',')", "$pstring.split($string)", "$pstring.split('', $int)", "$pstring.findAll('[a-z]')", "$pstring.findAll('.', $int)", "$strings + $strings",
        "self.labels.map(k, k).sort()", "self.items.map(z, z.key)", "$pstrings.map(e, e + $string)", "$pstrings.filter(e, e != $string)", "ls.sortBy(e, e.size())"]),
    ("map", &["{}", "{'a': 1}", "{$string: $int}", "m", "{'a': $int, 'b': 2}", "{?'o': m[?$string]}", "m.transformMap(k, v, v + 1)", "m.transformMap(k, v, v > 1, v)", "{'q': 1}.transformMapEntry(k, v, {k + 'x': v})"]),
    ("optional", &["optional.of($int)", "optional.none()", "m[?'a']", "li[?$int]", "m.?a", "optional.of($int).optMap(o, o + 1)", "m[?'zz'].optFlatMap(o, optional.of(o))", "optional.ofNonZeroValue($int)", "li.last()"]),
    ("pint", &["i", "($int)"]),
    ("pdouble", &["d", "($double)"]),
    ("pbool", &["b", "($bool)", "has(x.a)"]),
    ("pstring", &["s", "self.name", "'a,b,c'", "($string)", "ls[0]"]),
    ("plist", &["li", "[1, 2]", "self.numbers", "($list)"]),
    ("pstrings", &["ls", "self.tags", "['x', 'y']", "($strings)"]),
    ("vbool", &["v > 1", "v == $int", "$bool", "v % 2 == 0", "v in $list", "v / $int > 0"]),
    ("vint", &["v", "v + 1", "v * $int", "$int", "v / (v - 1)"]),
];

/// How deep an expression goes.
const DEPTH: usize = 4;

fn row(of: &str) -> &'static [&'static str] {
    ROWS.iter().find(|(name, _)| *name == of).map(|(_, rows)| *rows).expect("a row of that name")
}

fn fill(dice: &mut Dice, of: &str, depth: usize) -> String {
    // Rarely something of another type.
    let of = if dice.roll(120) == 0 { ["int", "string", "bool", "list", "map", "double"][dice.roll(6)] } else { of };
    let rows = row(of);
    let pick = rows[dice.roll(rows.len())];
    let pick = if depth == 0 && pick.contains('$') { rows[dice.roll(rows.len().min(4))] } else { pick };
    let mut out = String::new();
    let mut rest = pick;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name = &rest[at + 1..];
        let end = name.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(name.len());
        let inner = fill(dice, &name[..end], depth.saturating_sub(1));
        let alone = inner.chars().all(|c| c.is_ascii_alphanumeric() || "'._".contains(c));
        out.push_str(&if alone || out.ends_with(['(', '[']) || out.ends_with(", ") { inner } else { format!("({inner})") });
        rest = &name[end..];
    }
    out.push_str(rest);
    out
}

/// An expression, rarely with a mistake in it.
pub fn expression(dice: &mut Dice) -> String {
    const TYPES: [&str; 9] = ["int", "bool", "bool", "bool", "string", "list", "strings", "map", "double"];
    let of = TYPES[dice.roll(TYPES.len())];
    let depth = 1 + dice.roll(DEPTH);
    let mut text = fill(dice, of, depth);
    if dice.roll(25) == 0 {
        const BAD: [&str; 8] = [" + 'q'", ".nothing", " && 1", "[true]", ".undefined()", " == null", ".size(1)", " < x"];
        text.push_str(BAD[dice.roll(BAD.len())]);
    }
    text
}

/// The text with characters less, more or others.
pub fn hurt(dice: &mut Dice, text: &str) -> String {
    const CHARACTERS: [char; 32] = [
        '(', ')', '[', ']', '{', '}', '.', ',', ':', '?', '!', '-', '+', '*', '&', '|', '=', '<', '\'', '"', '\\', '`', '$', ' ', '0', '9', 'e', 'u', 'r', 'b', 'ö', '\n',
    ];
    let mut all: Vec<char> = text.chars().collect();
    for _ in 0..1 + dice.roll(2) {
        let at = dice.roll(all.len() + 1);
        let other = CHARACTERS[dice.roll(CHARACTERS.len())];
        match dice.roll(3) {
            0 if at < all.len() => drop(all.remove(at)),
            1 if at < all.len() => all[at] = other,
            _ => all.insert(at, other),
        }
    }
    all.into_iter().collect()
}

/// Expressions that are at a bound, or beyond it.
pub fn extreme() -> Vec<String> {
    let nested = |open: &str, inner: &str, close: &str, count: usize| [open.repeat(count), inner.to_owned(), close.repeat(count)].concat();
    let row = |item: &str, between: &str, count: usize| vec![item; count].join(between);
    let mut all = Vec::new();
    for count in [50, 248, 249, 250, 251, 300] {
        all.push(nested("(", "1", ")", count));
        // Upstream takes minutes for such types.
        if !(100..250).contains(&count) {
            all.push(nested("[", "1", "]", count));
            all.push(nested("{'a': ", "1", "}", count));
        }
        all.push(nested("-", "i", "", count));
        all.push(nested("!", "b", "", count));
        all.push(row("i", " + ", count));
        all.push(row("i", " * ", count));
        all.push(row("b", " == ", count));
        all.push(row("b", " && ", count));
        all.push(format!("x{}", ".a".repeat(count)));
        all.push(format!("s{}", ".trim()".repeat(count)));
        all.push(format!("x{}", "['a']".repeat(count)));
        all.push(nested("b ? i : ", "1", "", count));
        all.push(nested("size([", "1", "])", count));
    }
    all.push(row("b", " || ", 5000));
    all.push(row("!b", " || ", 5000));
    all.push(format!("'{}'", "a".repeat(100_000)));
    all.push(format!("'{}' != ''", "a".repeat(99_992)));
    all.push(nested("[1].all(z, ", "true", ")", 60));
    all.push(nested("[1, 2, 3].map(z, ", "z", ")", 12));
    all.push("[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(e, [0,1,2,3,4,5,6,7,8,9].all(f, \
        [0,1,2,3,4,5,6,7,8,9].all(g, [0,1,2,3,4,5,6,7,8,9].all(h, a + c + e + f + g + h >= 0))))))".replace("        ", ""));
    all.push("lists.range(2000000).size()".to_owned());
    all.push("lists.range(1000).map(q, lists.range(1000)).size()".to_owned());
    all
}
