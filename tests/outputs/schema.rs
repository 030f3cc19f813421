//! A validator for as much of JSON Schema as the schema of the json output uses; anything else in a schema is refused, so
//! that nothing there is passed over. Another validator looks at the same lines in the test with real peers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a schema may say, here.
const KEYWORDS: [&str; 17] = [
    "$schema",
    "title",
    "description",
    "type",
    "enum",
    "const",
    "minimum",
    "minItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "allOf",
    "if",
    "then",
    "format",
    "contentEncoding",
];

/// A schema.
pub struct Schema(Value);

impl Schema {
    /// Reads a schema, all of it.
    pub fn read(text: &str) -> Self {
        let schema: Value = serde_json::from_str(text).expect("a schema is JSON");
        known(&schema);
        Schema(schema)
    }

    /// Whether a value fits; notes the fields that it has.
    pub fn check(&self, value: &Value, seen: &mut BTreeSet<String>) -> Result<(), String> {
        check(&self.0, value, "", seen)
    }

    /// All fields that it describes; those of objects in lists too.
    pub fn fields(&self) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        describe(&self.0, "", &mut fields);
        fields
    }
}

fn known(schema: &Value) {
    let Some(schema) = schema.as_object() else { return };
    for (key, value) in schema {
        assert!(KEYWORDS.contains(&key.as_str()) || key.starts_with("x-"), "{key} is not understood");
        match key.as_str() {
            "properties" => value.as_object().expect("an object").values().for_each(known),
            "items" | "if" | "then" => known(value),
            "allOf" => value.as_array().expect("a list").iter().for_each(known),
            _ => {}
        }
    }
}

fn described(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flat_map(Map::iter)
}

fn describe(schema: &Value, path: &str, fields: &mut BTreeSet<String>) {
    for (name, inner) in described(schema) {
        let path = format!("{path}/{name}");
        assert!(inner["description"].as_str().is_some_and(|text| !text.is_empty()), "{path} is not described");
        describe(inner, &path, fields);
        describe(&inner["items"], &path, fields);
        fields.insert(path);
    }
}

fn check(schema: &Value, value: &Value, path: &str, seen: &mut BTreeSet<String>) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{path}: {what}"));
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        None => true,
        Some(other) => panic!("{other} is no type that is understood"),
    };
    if !fits {
        return wrong(format!("{value} has another type"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        return wrong(format!("{value} is none of the words"));
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        return wrong(format!("{value} is not that"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return wrong(format!("{value} is too small"));
    }
    if let Some(items) = value.as_array() {
        if schema["minItems"].as_u64().is_some_and(|least| (items.len() as u64) < least) {
            return wrong("too few".to_owned());
        }
        items.iter().try_for_each(|item| check(&schema["items"], item, path, seen))?;
    }
    if let Some(object) = value.as_object() {
        fields(schema, object, path, seen)?;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if check(&part["if"], value, path, &mut BTreeSet::new()).is_ok() {
            check(&part["then"], value, path, &mut BTreeSet::new())?;
        }
    }
    Ok(())
}

fn fields(schema: &Value, object: &Map<String, Value>, path: &str, seen: &mut BTreeSet<String>) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            return Err(format!("{path}: {name} is missing"));
        }
    }
    for (name, value) in object {
        let inner = &schema["properties"][name];
        let path = format!("{path}/{name}");
        if inner.is_null() && schema["additionalProperties"] == Value::Bool(false) {
            return Err(format!("{path} is not described"));
        }
        check(inner, value, &path, seen)?;
        seen.insert(path);
    }
    Ok(())
}
