//! GraphQL documents judged by the published schema: fields and arguments must exist.

use std::collections::HashMap;

use graphql_parser::query::{
    Definition, Document, OperationDefinition, Selection, SelectionSet, TypeCondition, Value,
};
use graphql_parser::schema::{self, Type, TypeDefinition};

/// What the schema says of each type: its fields, each with its type and arguments.
pub(super) struct GraphQlSchema {
    types: HashMap<String, HashMap<String, Field>>,
}

struct Field {
    type_name: String,
    /// Name, type, and whether it must be given.
    arguments: Vec<(String, String, bool)>,
}

impl GraphQlSchema {
    /// Reads `schema.graphql`; fails with the parser's message.
    pub(super) fn parse(text: &str) -> Result<GraphQlSchema, String> {
        let document =
            graphql_parser::parse_schema::<String>(text).map_err(|error| error.to_string())?;
        let mut types = HashMap::new();
        for definition in document.definitions {
            let schema::Definition::TypeDefinition(definition) = definition else { continue };
            match definition {
                TypeDefinition::Object(object) => {
                    types.insert(object.name, output_fields(object.fields));
                }
                TypeDefinition::Interface(interface) => {
                    types.insert(interface.name, output_fields(interface.fields));
                }
                TypeDefinition::InputObject(input) => {
                    let fields = input.fields.iter().map(input_field);
                    types.insert(input.name, fields.collect());
                }
                _ => {}
            }
        }
        Ok(GraphQlSchema { types })
    }

    /// What in a document does not exist.
    pub(super) fn judge(&self, text: &str) -> Vec<String> {
        let document = match graphql_parser::parse_query::<String>(text) {
            Ok(document) => document,
            Err(error) => return vec![format!("no document: {error}")],
        };
        let mut found = Vec::new();
        for definition in &document.definitions {
            let (root, selections) = match definition {
                Definition::Operation(OperationDefinition::Query(query)) => {
                    ("Query", &query.selection_set)
                }
                Definition::Operation(OperationDefinition::SelectionSet(set)) => ("Query", set),
                Definition::Operation(OperationDefinition::Mutation(mutation)) => {
                    ("Mutation", &mutation.selection_set)
                }
                _ => continue,
            };
            self.selections(&document, root, selections, &mut found);
        }
        found
    }

    fn selections(
        &self,
        document: &Document<'_, String>,
        type_name: &str,
        selections: &SelectionSet<'_, String>,
        found: &mut Vec<String>,
    ) {
        for selection in &selections.items {
            match selection {
                Selection::Field(field) if field.name == "__typename" => {}
                Selection::Field(field) => {
                    let known = self.types.get(type_name).and_then(|t| t.get(&field.name));
                    let Some(known) = known else {
                        found.push(format!("{type_name} has no field {}", field.name));
                        continue;
                    };
                    self.arguments(type_name, field, known, found);
                    self.selections(document, &known.type_name, &field.selection_set, found);
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.type_condition.as_ref();
                    let on = on.map_or(type_name, |TypeCondition::On(name)| name);
                    self.selections(document, on, &fragment.selection_set, found);
                }
                Selection::FragmentSpread(spread) => {
                    for definition in &document.definitions {
                        if let Definition::Fragment(fragment) = definition
                            && fragment.name == spread.fragment_name
                        {
                            let TypeCondition::On(on) = &fragment.type_condition;
                            self.selections(document, on, &fragment.selection_set, found);
                        }
                    }
                }
            }
        }
    }

    fn arguments(
        &self,
        type_name: &str,
        field: &graphql_parser::query::Field<'_, String>,
        known: &Field,
        found: &mut Vec<String>,
    ) {
        for (name, value) in &field.arguments {
            match known.arguments.iter().find(|(argument, ..)| argument == name) {
                None => {
                    found.push(format!("{type_name}.{} has no argument {name}", field.name));
                }
                Some((_, input, _)) => self.input(input, value, found),
            }
        }
        for (name, _, needed) in &known.arguments {
            if *needed && !field.arguments.iter().any(|(given, _)| given == name) {
                found.push(format!("{type_name}.{} needs argument {name}", field.name));
            }
        }
    }

    fn input(&self, type_name: &str, value: &Value<'_, String>, found: &mut Vec<String>) {
        let (Value::Object(given), Some(known)) = (value, self.types.get(type_name)) else {
            return;
        };
        for (name, value) in given {
            match known.get(name) {
                None => found.push(format!("{type_name} has no field {name}")),
                Some(field) => self.input(&field.type_name, value, found),
            }
        }
        for (name, field) in known {
            if field.arguments.iter().any(|(.., needed)| *needed) && !given.contains_key(name) {
                found.push(format!("{type_name} needs field {name}"));
            }
        }
    }
}

fn output_fields(fields: Vec<schema::Field<'_, String>>) -> HashMap<String, Field> {
    let mut known = HashMap::new();
    for field in fields {
        let arguments = field
            .arguments
            .iter()
            .map(|argument| {
                let needed = is_needed(argument);
                (argument.name.clone(), bare(&argument.value_type).to_owned(), needed)
            })
            .collect();
        let type_name = bare(&field.field_type).to_owned();
        known.insert(field.name, Field { type_name, arguments });
    }
    known
}

/// An input's field; whether it must be given is kept as an argument of the same name.
fn input_field(field: &schema::InputValue<'_, String>) -> (String, Field) {
    let type_name = bare(&field.value_type).to_owned();
    let itself = (field.name.clone(), type_name.clone(), is_needed(field));
    (field.name.clone(), Field { type_name, arguments: vec![itself] })
}

fn is_needed(value: &schema::InputValue<'_, String>) -> bool {
    matches!(value.value_type, Type::NonNullType(_)) && value.default_value.is_none()
}

/// The name of a type without its lists and exclamation marks.
fn bare<'a>(given: &'a Type<'_, String>) -> &'a str {
    match given {
        Type::NamedType(name) => name,
        Type::ListType(inner) | Type::NonNullType(inner) => bare(inner),
    }
}
