//! Changes single values of a body and nothing else: what the API gets is otherwise byte for byte what the agent
//! sent.

use std::ops::Range;

/// Gives the body with another number at a place: the fields that lead there from the outermost object.
/// As it was, where there is no number.
///
/// The body was read strictly before (see `strict`): it is JSON, and names no field twice.
pub(super) fn number(body: &[u8], place: &[&str], value: u64) -> Vec<u8> {
    let Some(Range { start, end }) = number_at(body, place) else { return body.to_vec() };
    let mut changed = Vec::with_capacity(body.len() + 20);
    changed.extend_from_slice(&body[..start]);
    changed.extend_from_slice(value.to_string().as_bytes());
    changed.extend_from_slice(&body[end..]);
    changed
}

/// Gives the outermost object another value of a field, as it is written in JSON; one that is absent becomes
/// the first. For bodies that have another field.
pub(super) fn set(body: &[u8], field: &str, value: &str) -> Vec<u8> {
    set_in(body, skip_space(body, 0), field, value)
}

/// The same for an element of a list of the outermost object, itself an object. As it was, where there is no
/// such element.
pub(super) fn set_in_list(body: &[u8], list: &str, at: usize, field: &str, value: &str) -> Vec<u8> {
    match element_of(body, list, at) {
        Some(begin) => set_in(body, begin, field, value),
        None => body.to_vec(),
    }
}

/// Sets a field of the object that begins there.
fn set_in(body: &[u8], begin: usize, field: &str, value: &str) -> Vec<u8> {
    if body.get(begin) != Some(&b'{') {
        return body.to_vec();
    }
    let known = value_of(&body[begin..], field).map(|start| begin + start);
    match known.and_then(|start| Some(start..end_of_value(body, start)?)) {
        Some(Range { start, end }) => [&body[..start], value.as_bytes(), &body[end..]].concat(),
        None => {
            let (before, after) = body.split_at(begin + 1);
            [before, format!("\"{field}\":{value},").as_bytes(), after].concat()
        }
    }
}

/// Where an element of a list of the outermost object begins.
fn element_of(body: &[u8], list: &str, at: usize) -> Option<usize> {
    let mut begin = value_of(body, list)?;
    if body.get(begin) != Some(&b'[') {
        return None;
    }
    for _ in 0..at {
        let end = skip_space(body, end_of_value(body, skip_space(body, begin + 1))?);
        begin = (body.get(end) == Some(&b',')).then_some(end)?;
    }
    Some(skip_space(body, begin + 1))
}

/// One past the value that begins there.
fn end_of_value(body: &[u8], begin: usize) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = begin;
    loop {
        match *body.get(at)? {
            b'"' => at = end_of_text(body, at)?,
            b'{' | b'[' => (depth, at) = (depth + 1, at + 1),
            b'}' | b']' => (depth, at) = (depth.checked_sub(1)?, at + 1),
            _ if depth == 0 => {
                let is_over = |byte: &u8| byte.is_ascii_whitespace() || b",]}".contains(byte);
                return Some(at + body[at..].iter().position(is_over)?);
            }
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where the number at a place stands.
fn number_at(body: &[u8], place: &[&str]) -> Option<Range<usize>> {
    let mut start = 0;
    for field in place {
        start += value_of(&body[start..], field)?;
    }
    let digits = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(*byte);
    let length = body[start..].iter().take_while(digits).count();
    (length > 0).then_some(start..start + length)
}

/// Where the value of a field begins, in the object with which the text begins.
fn value_of(body: &[u8], field: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < body.len() {
        match body[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = end_of_text(body, at)?;
                let is_field = depth == 1
                    && serde_json::from_slice::<String>(&body[at..end])
                        .is_ok_and(|text| text == field);
                if let Some(value) = is_field.then(|| after_colon(body, end)).flatten() {
                    return Some(value);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        if depth == 0 && !body[at].is_ascii_whitespace() {
            // The object is over, or there is none.
            return None;
        }
        at += 1;
    }
    None
}

/// One past the quote that ends the text which begins at a quote.
fn end_of_text(body: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin + 1;
    while *body.get(at)? != b'"' {
        at += if body[at] == b'\\' { 2 } else { 1 };
    }
    Some(at + 1)
}

/// What stands behind a colon; nothing where a text was no field's name.
fn after_colon(body: &[u8], from: usize) -> Option<usize> {
    let colon = skip_space(body, from);
    (body.get(colon) == Some(&b':')).then(|| skip_space(body, colon + 1))
}

fn skip_space(body: &[u8], from: usize) -> usize {
    let space = body[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    from + space
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn changed(body: &str) -> String {
        String::from_utf8(number(body.as_bytes(), &["max_tokens"], 7)).unwrap()
    }

    #[test]
    fn only_the_outermost_field_is_changed_wherever_it_stands() {
        let cases = [
            (r#"{"max_tokens":64000}"#, r#"{"max_tokens":7}"#),
            (r#"{ "a" : [1] , "max_tokens" :  64000 }"#, r#"{ "a" : [1] , "max_tokens" :  7 }"#),
            (r#"{"max\u005ftokens":1,"b":2}"#, r#"{"max\u005ftokens":7,"b":2}"#),
            (
                r#"{"a":{"max_tokens":1},"b":"max_tokens","c":"\"max_tokens\":1","max_tokens":1e3}"#,
                r#"{"a":{"max_tokens":1},"b":"max_tokens","c":"\"max_tokens\":1","max_tokens":7}"#,
            ),
            (r#"{"a":"\\","max_tokens":1}"#, r#"{"a":"\\","max_tokens":7}"#),
        ];
        for (before, after) in cases {
            assert_eq!(changed(before), after);
        }
        for same in [r#"{"a":{"max_tokens":1}}"#, r#"{"max_tokens":"1"}"#, "{\"", "[", ""] {
            assert_eq!(changed(same), same);
        }
    }

    #[test]
    fn a_number_further_in_is_found_in_its_own_object_only() {
        let place = ["thinking", "budget_tokens"];
        for (before, after) in [
            (
                r#"{"thinking": {"type":"enabled", "budget_tokens": 31999},"budget_tokens":1}"#,
                r#"{"thinking": {"type":"enabled", "budget_tokens": 7},"budget_tokens":1}"#,
            ),
            (
                r#"{"thinking":{"a":{"budget_tokens":1}},"budget_tokens":1}"#,
                r#"{"thinking":{"a":{"budget_tokens":1}},"budget_tokens":1}"#,
            ),
            (r#"{"thinking":5,"budget_tokens":1}"#, r#"{"thinking":5,"budget_tokens":1}"#),
        ] {
            assert_eq!(number(before.as_bytes(), &place, 7), after.as_bytes(), "{before}");
        }
    }

    #[test]
    fn a_value_is_set_wherever_it_stands_and_added_where_it_does_not() {
        for (before, after) in [
            (r#"{"a":[1,{"b":"}"}] , "m":true}"#, r#"{"a":[1,{"b":"}"}] , "m":7}"#),
            (r#" { "a":{"m":1}}"#, r#" {"m":7, "a":{"m":1}}"#),
            (r#"{"m":"\"x","a":1}"#, r#"{"m":7,"a":1}"#),
            (r#"{"m":[1,[2]] }"#, r#"{"m":7 }"#),
        ] {
            assert_eq!(String::from_utf8(set(before.as_bytes(), "m", "7")).unwrap(), after);
        }
    }

    #[test]
    fn a_value_in_a_list_is_set_in_its_own_element_only() {
        let body = r#"{"t":[{"m":1}, "x,]" ,{"n":[{"m":2}]},{ "m" : 3 }],"m":4}"#;
        let changed =
            |at| String::from_utf8(set_in_list(body.as_bytes(), "t", at, "m", "false")).unwrap();
        assert_eq!(changed(0), body.replace("\"m\":1", "\"m\":false"));
        assert_eq!(changed(2), body.replace("{\"n\"", "{\"m\":false,\"n\""));
        assert_eq!(changed(3), body.replace("\"m\" : 3", "\"m\" : false"));
        for nowhere in [1, 4, 9] {
            assert_eq!(changed(nowhere), body);
        }
        assert_eq!(set_in_list(b"{\"t\":1}", "t", 0, "m", "1"), b"{\"t\":1}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[\"\\\\{}:,a-z max_tokens\u{e9}]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(
                    prop_oneof![Just("max_tokens".to_owned()), "[a-c\"\\\\:]{1,3}"],
                    inner,
                    0..5
                )
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_else_is_in_a_body_stays(rest in any_json(), more in any_json(), pretty: bool) {
            let body = |limit: u64| json!({"a": rest, "max_tokens": limit, "z": more});
            let write = |value: &Value| match pretty {
                true => serde_json::to_vec_pretty(value).unwrap(),
                false => serde_json::to_vec(value).unwrap(),
            };
            let written = number(&write(&body(64_000)), &["max_tokens"], 1_024);
            prop_assert_eq!(written, write(&body(1_024)));
            let set = set(&write(&body(64_000)), "max_tokens", "1024");
            prop_assert_eq!(set, write(&body(1_024)));
            let listed = |limit: u64| json!({"l": [rest, {"max_tokens": limit, "z": more}], "z": more});
            let set = set_in_list(&write(&listed(64_000)), "l", 1, "max_tokens", "1024");
            prop_assert_eq!(set, write(&listed(1_024)));
        }
    }
}
