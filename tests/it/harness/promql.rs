//! What a query of Prometheus asks for: its selectors and the labels that it groups by. Only as much of the language as
//! the dashboard and the alert rules use; what is not understood fails.

/// A series that a query asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    pub name: String,
    /// Label, operator and value.
    pub matchers: Vec<(String, String, String)>,
}

/// What a query names.
#[derive(Debug, Default)]
pub struct Query {
    pub selectors: Vec<Selector>,
    /// The labels of all `by (…)`.
    pub grouped_by: Vec<String>,
}

const WORDS: &[&str] = &[
    "sum",
    "min",
    "max",
    "count",
    "rate",
    "increase",
    "histogram_quantile",
    "time",
    "by",
    "and",
    "or",
    "unless",
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

impl Query {
    pub fn parse(query: &str) -> Self {
        let (tokens, mut at, mut found) = (tokens(query), 0, Self::default());
        let sign = |at: usize, wanted: &str| tokens.get(at) == Some(&Token::Sign(wanted.to_owned()));
        while let Some(token) = tokens.get(at) {
            at += 1;
            let Token::Word(word) = token else { continue };
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            if word == "by" {
                assert!(sign(at, "("), "{query}");
                at += 1;
                while !sign(at, ")") {
                    if let Some(Token::Word(label)) = tokens.get(at) {
                        found.grouped_by.push(label.clone());
                    }
                    at += 1;
                    assert!(at < tokens.len(), "{query}");
                }
                continue;
            }
            if WORDS.contains(&word.as_str()) {
                continue;
            }
            let mut matchers = Vec::new();
            if sign(at, "{") {
                at += 1;
                while !sign(at, "}") {
                    let [Token::Word(label), Token::Sign(how), Token::Text(value)] = &tokens[at..at + 3]
                    else {
                        panic!("{query}")
                    };
                    matchers.push((label.clone(), how.clone(), value.clone()));
                    at += 3;
                    at += usize::from(sign(at, ","));
                }
                at += 1;
            }
            found.selectors.push(Selector { name: word.clone(), matchers });
            // A range, such as [5m].
            if sign(at, "[") {
                while !sign(at, "]") {
                    at += 1;
                }
            }
        }
        assert!(!found.selectors.is_empty(), "{query}");
        found
    }
}

fn tokens(query: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), query.trim_start());
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
        let (token, length) = if first == '"' {
            let text = rest[1..].split_once('"').expect(query).0;
            (Token::Text(text.to_owned()), text.len() + 2)
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Token::Word(rest[..length].to_owned()), length)
        } else {
            let two = ["=~", "!=", "!~", "==", ">=", "<="];
            let length = if two.iter().any(|sign| rest.starts_with(sign)) { 2 } else { 1 };
            (Token::Sign(rest[..length].to_owned()), length)
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}
