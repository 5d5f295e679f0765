//! The JSON Schema of the plugin configuration (draft 7, which editors know best), from the types that it is read into.
//!
//! [`raw`] writes each member once, with what is said of it; the reader and this module both come from there, and
//! the ranges from [`limits`](super::limits). The schema accepts whatever the reader accepts. It also accepts some of what
//! the reader refuses, because a schema cannot say it: a range of durations and their whole milliseconds, how a number is
//! spelled (`1.0`), a repeated member, names that differ in case alone or belong to HTTP, one header named in two members,
//! the escapes of a route, ports over 65535, a route that an earlier one covers, whether an inline key is usable, and
//! variables that are not set.
//!
//! Exists on native targets alone: the module in Envoy has no use for it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::limits::Range;
use super::{Config, raw};

/// What a JSON value of this type looks like.
pub(super) trait Describe {
    /// Its schema.
    fn schema() -> Value;
}

/// What is said of a member besides its type.
pub(super) trait Rule {
    /// Adds to the schema of the member.
    fn apply(&self, schema: &mut Map<String, Value>);
}

impl Config {
    /// The JSON Schema of the plugin configuration.
    pub fn schema() -> Value {
        let mut schema = raw::Plugin::schema();
        set(&mut schema, "$schema", "http://json-schema.org/draft-07/schema#");
        set(&mut schema, "title", "Plugin configuration of mdrm-authz");
        schema
    }
}

/// One member of an object.
pub(super) struct MemberSchema {
    name: &'static str,
    schema: Value,
    required: bool,
}

impl MemberSchema {
    /// `about`: the lines of its docstring.
    pub(super) fn new<T: Describe>(name: &'static str, about: &[&str], required: bool, rules: &[&dyn Rule]) -> Self {
        let mut schema = T::schema();
        let about = about.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        set(&mut schema, "description", about);
        if let Value::Object(schema) = &mut schema {
            rules.iter().for_each(|rule| rule.apply(schema));
        }
        Self { name, schema, required }
    }
}

/// An object with these members and no others.
pub(super) fn object(members: Vec<MemberSchema>) -> Value {
    let required: Vec<&str> = members.iter().filter(|member| member.required).map(|member| member.name).collect();
    let mut schema = json!({"type": "object", "additionalProperties": false});
    if !required.is_empty() {
        set(&mut schema, "required", required);
    }
    let properties: Map<String, Value> =
        members.into_iter().map(|member| (member.name.to_owned(), member.schema)).collect();
    set(&mut schema, "properties", properties);
    schema
}

/// One of these names.
pub(super) fn choice(names: &[&str]) -> Value {
    json!({"enum": names})
}

fn set(schema: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(schema) = schema {
        schema.insert(name.to_owned(), value.into());
    }
}

impl Describe for String {
    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl Describe for bool {
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

impl Describe for u64 {
    fn schema() -> Value {
        json!({"type": "integer", "minimum": 0})
    }
}

impl Describe for u32 {
    fn schema() -> Value {
        json!({"type": "integer", "minimum": 0, "maximum": Self::MAX})
    }
}

/// `null` says the same as no member.
impl<T: Describe> Describe for Option<T> {
    fn schema() -> Value {
        let mut schema = T::schema();
        if let Some(Value::Array(names)) = schema.get_mut("enum") {
            names.push(Value::Null);
        } else if let Some(kind) = schema.get("type").cloned() {
            set(&mut schema, "type", vec![kind, "null".into()]);
        }
        schema
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

impl Describe for raw::Headers {
    fn schema() -> Value {
        json!({"type": "object", "propertyNames": {"pattern": HEADER_NAME}, "additionalProperties": {"type": "string"}})
    }
}

/// A JWK Set (RFC 7517 section 5).
impl Describe for raw::JsonText {
    fn schema() -> Value {
        let keys = json!({"type": "array", "items": {"type": "object"}});
        json!({"type": "object", "required": ["keys"], "properties": {"keys": keys}})
    }
}

impl Describe for raw::DurationText {
    fn schema() -> Value {
        json!({"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)$"})
    }
}

/// A range of durations is for people: a pattern for each would be beyond reading.
impl Rule for Range<Duration> {
    fn apply(&self, schema: &mut Map<String, Value>) {
        let [default, low, high] = [self.default, self.low, self.high].map(spelled);
        add_to_description(schema, &format!("From {low} to {high}."));
        schema.insert("default".to_owned(), default.into());
    }
}

impl Rule for Range<usize> {
    fn apply(&self, schema: &mut Map<String, Value>) {
        add_to_description(schema, &format!("From {} to {}.", self.low, self.high));
        for (name, value) in [("default", self.default), ("minimum", self.low), ("maximum", self.high)] {
            schema.insert(name.to_owned(), value.into());
        }
    }
}

fn add_to_description(schema: &mut Map<String, Value>, sentence: &str) {
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let said = format!("{said} {sentence}");
    schema.insert("description".to_owned(), said.into());
}

/// As an operator would write it: in the largest unit that it is a whole number of, but a minute in seconds.
fn spelled(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let fits = |(unit, _): &(u128, &str)| millis > 0 && millis != 60_000 && millis.is_multiple_of(*unit);
    match units.into_iter().find(fits) {
        Some((unit, name)) => format!("{}{name}", millis.checked_div(unit).unwrap_or_default()),
        None => format!("{}s", duration.as_secs()),
    }
}

/// The default.
impl Rule for bool {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("default".to_owned(), (*self).into());
    }
}

/// The default.
impl Rule for &str {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("default".to_owned(), (*self).into());
    }
}

/// Two rules.
impl<A: Rule, B: Rule> Rule for (A, B) {
    fn apply(&self, schema: &mut Map<String, Value>) {
        self.0.apply(schema);
        self.1.apply(schema);
    }
}

/// A text that is not empty.
pub(super) struct Text;

impl Rule for Text {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("minLength".to_owned(), 1.into());
    }
}

/// What a text looks like, as a regular expression (ECMA-262).
pub(super) struct Pattern(pub(super) &'static str);

impl Rule for Pattern {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("pattern".to_owned(), self.0.into());
    }
}

/// A host and a port.
pub(super) const AUTHORITY: Pattern = Pattern("^[!-~]+$");
/// A name, an address or a wildcard, and a port; not every port and address is ruled out.
pub(super) const HOST: Pattern =
    Pattern(r"^((\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?$");
/// `{kid}` at most once.
pub(super) const KEY_PATH: Pattern = Pattern(r##"^/[!"$-z|~]*(\{kid\}[!"$-z|~]*)?$"##);
/// `{kid}` once.
pub(super) const ONE_KEY_PATH: Pattern = Pattern(r##"^/[!"$-z|~]*\{kid\}[!"$-z|~]*$"##);
/// Not made of dots alone.
pub(super) const KID: Pattern = Pattern("[^.]");
/// As paths are compared; not every escape is ruled out.
pub(super) const ROUTE_PATH: Pattern = Pattern(r##"^(?!.*//)(?!.*/\.{1,2}(/|$))/[!"$-:<->@-\[\]-~]*$"##);
/// RFC 9110 section 5.6.2.
pub(super) const HEADER: Pattern = Pattern(HEADER_NAME);
const HEADER_NAME: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// A list that names something, and no empty names.
pub(super) struct Audiences(pub(super) Option<&'static str>);

impl Rule for Audiences {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("minItems".to_owned(), 1.into());
        schema.insert("items".to_owned(), json!({"type": "string", "minLength": 1}));
        if let Some(default) = self.0 {
            schema.insert("default".to_owned(), json!([default]));
        }
    }
}

/// A list of at least one version, and the only one in it by default.
pub(super) struct Versions(pub(super) u32);

impl Rule for Versions {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("minItems".to_owned(), 1.into());
        schema.insert("default".to_owned(), json!([self.0]));
    }
}

/// Every value of an object is a text that is not empty.
pub(super) struct Texts;

impl Rule for Texts {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("additionalProperties".to_owned(), json!({"type": "string", "minLength": 1}));
    }
}

/// What `path` of the object is by default.
pub(super) struct DefaultPath(pub(super) &'static str);

impl Rule for DefaultPath {
    fn apply(&self, schema: &mut Map<String, Value>) {
        if let Some(Value::Object(path)) = schema.get_mut("properties").and_then(|members| members.get_mut("path")) {
            self.0.apply(path);
        }
    }
}

/// At least one of these members.
pub(super) struct AnyOf(pub(super) [&'static str; 2]);

impl Rule for AnyOf {
    fn apply(&self, schema: &mut Map<String, Value>) {
        schema.insert("anyOf".to_owned(), self.0.map(is_there).into_iter().collect());
    }
}

/// In each element of a list, exactly one of these members.
pub(super) struct EachOneOf(pub(super) [&'static str; 2]);

impl Rule for EachOneOf {
    fn apply(&self, schema: &mut Map<String, Value>) {
        if let Some(items) = schema.get_mut("items") {
            set(items, "oneOf", self.0.map(is_there).into_iter().collect::<Value>());
        }
    }
}

fn is_there(name: &str) -> Value {
    json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}})
}
