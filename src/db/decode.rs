//! Between columns and the types of `model`.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::DbError;
use crate::model::{InvalidValue, Role, StageKey};

/// Takes a validated text out of a column.
pub(super) fn text<T>(
    what: &'static str,
    value: String,
    parse: fn(String) -> Result<T, InvalidValue>,
) -> Result<T, DbError> {
    parse(value).map_err(|source| DbError::unreadable(what, source))
}

/// Takes a validated text out of a column that may be NULL.
pub(super) fn optional_text<T>(
    what: &'static str,
    value: Option<String>,
    parse: fn(String) -> Result<T, InvalidValue>,
) -> Result<Option<T>, DbError> {
    value.map(|value| text(what, value, parse)).transpose()
}

/// Takes a number out of a column that has no unsigned type.
pub(super) fn number<S, T>(what: &'static str, value: S) -> Result<T, DbError>
where
    T: TryFrom<S>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(value).map_err(|source| DbError::unreadable(what, source))
}

/// Reads a value that is stored as JSON.
pub(super) fn read<T: DeserializeOwned>(what: &'static str, value: Value) -> Result<T, DbError> {
    serde_json::from_value(value).map_err(|source| DbError::unreadable(what, source))
}

/// Reads a closed set that is stored by its serde name.
pub(super) fn read_name<T: DeserializeOwned>(
    what: &'static str,
    name: String,
) -> Result<T, DbError> {
    read(what, Value::String(name))
}

/// Reads what an agent plays: its own column, else what its stage is played by.
pub(super) fn role(stage: String, own: Option<String>) -> Result<Role, DbError> {
    let stage: StageKey = read_name("stage", stage)?;
    own.map_or(Ok(stage.role()), |own| read_name("role", own))
}

/// Makes JSON that Postgres takes: it refuses U+0000 in any string, and people can write it.
pub(super) fn write<T: Serialize>(value: &T) -> Value {
    let mut value = serde_json::to_value(value)
        .expect("types of model have string keys and no failing serializers");
    without_nul(&mut value);
    value
}

/// The serde name of a closed set's case, as the CHECK of its column has it.
pub(super) fn write_name<T: Serialize>(value: &T) -> String {
    match write(value) {
        Value::String(name) => name,
        other => other.to_string(),
    }
}

/// Text that Postgres takes: without U+0000.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = storable(text),
        Value::Array(values) => values.iter_mut().for_each(without_nul),
        Value::Object(fields) => fields.values_mut().for_each(without_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A number that a bigint column holds; what is larger cannot come from GitHub.
pub(super) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that an integer column holds.
pub(super) fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_zero_character_anywhere_is_replaced() {
        let value = write(&json!({"a": ["x\0y"], "b": {"c": "\0"}}));
        assert_eq!(value, json!({"a": ["x\u{FFFD}y"], "b": {"c": "\u{FFFD}"}}));
    }
}
