//! The GraphQL the App needs: what REST does not have, answered field by field as asked.
//!
//! A document is parsed and its selections are walked over values built whole; a field nobody
//! built is an error in GraphQL's form, as is everything refused (status 200, `errors`).

use graphql_parser::query::{
    Definition, Document, Field, OperationDefinition, Selection, SelectionSet, Value as Literal,
};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Handled, Refusal};
use super::auth::Caller;
use super::graphql_mutations;
use super::graphql_values as values;
use super::routes::Call;

/// Most nodes a connection gives at once.
const CONNECTION_LIMIT: u64 = 100;

/// A refusal inside of a GraphQL answer.
pub(crate) struct Problem {
    pub kind: &'static str,
    pub message: String,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let kind = match refusal.status {
            401 | 403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            _ => "UNPROCESSABLE",
        };
        Problem { kind, message: refusal.message }
    }
}

type Arguments = Map<String, Value>;

struct Walk<'call, 'state, 'text> {
    call: &'call mut Call<'state>,
    document: &'call Document<'text, String>,
    variables: Value,
    errors: Vec<Value>,
}

/// Answers `POST /graphql`.
pub(crate) fn answer(call: &mut Call<'_>) -> Handled {
    if !matches!(call.caller, Caller::Installation(_)) {
        return Err(Refusal::new(401, "This endpoint requires you to be authenticated."));
    }
    let text = call.text("query")?.unwrap_or_default();
    let document = match graphql_parser::parse_query::<String>(&text) {
        Ok(document) => document,
        Err(error) => {
            let errors = json!([{ "message": format!("Parse error: {error}") }]);
            return Ok(Answer::ok(json!({ "errors": errors })));
        }
    };
    let variables = call.body["variables"].clone();
    let wanted = call.text("operationName")?;
    let Some((root, selections)) = operation(&document, wanted.as_deref()) else {
        let errors = json!([{ "message": "An operation name is required" }]);
        return Ok(Answer::ok(json!({ "errors": errors })));
    };
    let mut walk = Walk { call, document: &document, variables, errors: Vec::new() };
    let data = walk.object(&json!({ "__typename": root }), selections, &[]);
    let mut answer = json!({ "data": data });
    if !walk.errors.is_empty() {
        answer["errors"] = Value::Array(walk.errors);
    }
    Ok(Answer::ok(answer))
}

fn operation<'document, 'text>(
    document: &'document Document<'text, String>,
    wanted: Option<&str>,
) -> Option<(&'static str, &'document SelectionSet<'text, String>)> {
    document.definitions.iter().find_map(|definition| {
        let Definition::Operation(operation) = definition else { return None };
        let (root, name, selections) = match operation {
            OperationDefinition::SelectionSet(selections) => ("Query", None, selections),
            OperationDefinition::Query(query) => {
                ("Query", query.name.as_deref(), &query.selection_set)
            }
            OperationDefinition::Mutation(mutation) => {
                ("Mutation", mutation.name.as_deref(), &mutation.selection_set)
            }
            OperationDefinition::Subscription(_) => return None,
        };
        (wanted.is_none() || wanted == name).then_some((root, selections))
    })
}

impl Walk<'_, '_, '_> {
    fn object(
        &mut self,
        value: &Value,
        selections: &SelectionSet<'_, String>,
        path: &[String],
    ) -> Value {
        let mut result = Map::new();
        self.select(value, selections, path, &mut result);
        Value::Object(result)
    }

    fn select(
        &mut self,
        value: &Value,
        selections: &SelectionSet<'_, String>,
        path: &[String],
        result: &mut Map<String, Value>,
    ) {
        let document = self.document;
        let type_name = value["__typename"].as_str().unwrap_or_default().to_owned();
        for selection in &selections.items {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name).clone();
                    let path = [path, std::slice::from_ref(&key)].concat();
                    let answer = self.field(value, &type_name, field, &path);
                    result.insert(key, answer);
                }
                Selection::InlineFragment(fragment) => {
                    if values::is_type(&type_name, fragment.type_condition.as_ref()) {
                        self.select(value, &fragment.selection_set, path, result);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let named = document.definitions.iter().find_map(|known| match known {
                        Definition::Fragment(known) if known.name == spread.fragment_name => {
                            Some(known)
                        }
                        _ => None,
                    });
                    if let Some(named) = named
                        && values::is_type(&type_name, Some(&named.type_condition))
                    {
                        self.select(value, &named.selection_set, path, result);
                    }
                }
            }
        }
    }

    fn field(
        &mut self,
        value: &Value,
        type_name: &str,
        field: &Field<'_, String>,
        path: &[String],
    ) -> Value {
        match self.child(value, type_name, field) {
            Ok(child) => self.shape(&child, &field.selection_set, path),
            Err(problem) => {
                self.errors.push(json!({
                    "type": problem.kind,
                    "path": path,
                    "locations": [{ "line": field.position.line, "column": field.position.column }],
                    "message": problem.message,
                }));
                Value::Null
            }
        }
    }

    fn shape(
        &mut self,
        child: &Value,
        selections: &SelectionSet<'_, String>,
        path: &[String],
    ) -> Value {
        match child {
            Value::Object(_) => self.object(child, selections, path),
            Value::Array(items) => {
                items.iter().map(|item| self.shape(item, selections, path)).collect()
            }
            scalar => scalar.clone(),
        }
    }

    fn child(
        &mut self,
        value: &Value,
        type_name: &str,
        field: &Field<'_, String>,
    ) -> Result<Value, Problem> {
        let arguments: Arguments = field
            .arguments
            .iter()
            .map(|(name, literal)| (name.clone(), self.literal(literal)))
            .collect();
        match type_name {
            "Query" => values::root(self.call, &field.name, &arguments),
            "Mutation" => graphql_mutations::run(self.call, &field.name, &arguments["input"]),
            _ => {
                let child = match values::by_argument(self.call, value, &field.name, &arguments)? {
                    Some(child) => child,
                    None => value.get(&field.name).cloned().ok_or_else(|| Problem {
                        kind: "undefinedField",
                        message: format!(
                            "Field '{}' doesn't exist on type '{type_name}'",
                            field.name
                        ),
                    })?,
                };
                page_of(child, &field.name, &arguments)
            }
        }
    }

    fn literal(&self, literal: &Literal<'_, String>) -> Value {
        match literal {
            Literal::Variable(name) => self.variables[name.as_str()].clone(),
            Literal::Int(number) => json!(number.as_i64()),
            Literal::Float(number) => json!(number),
            Literal::String(text) | Literal::Enum(text) => json!(text),
            Literal::Boolean(truth) => json!(truth),
            Literal::Null => Value::Null,
            Literal::List(items) => items.iter().map(|item| self.literal(item)).collect(),
            Literal::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.literal(value))).collect()
            }
        }
    }
}

/// Cuts a connection (marked by `__nodes`) to the page asked for; other values pass.
fn page_of(child: Value, name: &str, arguments: &Arguments) -> Result<Value, Problem> {
    let Some(nodes) = child.get("__nodes").and_then(Value::as_array) else { return Ok(child) };
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
    let invalid = |message: String| Problem { kind: "MISSING_PAGINATION_BOUNDARIES", message };
    let size = number("first").or_else(|| number("last")).ok_or_else(|| {
        invalid(format!("You must provide a `first` or `last` value to properly paginate the `{name}` connection."))
    })?;
    if size > CONNECTION_LIMIT {
        return Err(invalid(format!(
            "Requesting {size} records on the `{name}` connection exceeds the `first` limit of 100 records."
        )));
    }
    let cursor = |name: &str| {
        arguments.get(name).and_then(Value::as_str).and_then(|cursor| cursor.parse().ok())
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let (start, end) = if number("first").is_some() {
        let start = cursor("after").unwrap_or(0).min(nodes.len());
        (start, start.saturating_add(size).min(nodes.len()))
    } else {
        let end = cursor("before").unwrap_or(nodes.len()).min(nodes.len());
        (end.saturating_sub(size), end)
    };
    let shown = &nodes[start..end];
    let edges: Vec<Value> = shown
        .iter()
        .enumerate()
        .map(|(place, node)| {
            let cursor = (start + place + 1).to_string();
            json!({ "__typename": "Edge", "node": node, "cursor": cursor })
        })
        .collect();
    Ok(json!({
        "__typename": "Connection",
        "nodes": shown,
        "edges": edges,
        "totalCount": nodes.len(),
        "pageInfo": {
            "__typename": "PageInfo",
            "hasNextPage": end < nodes.len(),
            "hasPreviousPage": start > 0,
            "startCursor": (!shown.is_empty()).then(|| (start + 1).to_string()),
            "endCursor": (!shown.is_empty()).then(|| end.to_string()),
        },
    }))
}
