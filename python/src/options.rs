//! Keyword arguments as the library's options: by the same keys, each in the form of its option.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};
use tfarrow::DType;
use tfarrow::options::{self, Form, OPTIONS, OptionInfo, Topic};

/// Options as keys and the texts that the library reads.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// Reads keyword arguments. `None` is as if the option was not given.
pub(crate) fn settings(options: &Bound<'_, PyDict>) -> PyResult<Settings> {
    let mut settings = Vec::new();
    for (key, value) in options {
        let key: String = key.extract()?;
        let option = options::find(&key).ok_or_else(|| unknown(&key))?;
        if !value.is_none() {
            texts(option, &value, &mut settings)?;
        }
    }
    Ok(settings)
}

fn unknown(key: &str) -> PyErr {
    let near = options::nearest_key(key).map(|near| format!("; did you mean `{near}`?"));
    PyTypeError::new_err(format!("no option is called `{key}`{}", near.unwrap_or_default()))
}

fn texts(option: &'static OptionInfo, value: &Bound<'_, PyAny>, out: &mut Settings) -> PyResult<()> {
    let key = option.key;
    let wrong = |expected: &str| {
        // There may be secrets in it.
        let repr = Some(key).filter(|key| *key != "store").and_then(|_| value.repr().ok());
        let found = repr.map_or_else(|| "something else".to_owned(), |repr| repr.to_string());
        PyTypeError::new_err(format!("invalid {key}: expected {expected}, found {found}"))
    };
    if key == "features" && value.is_instance_of::<PyDict>() {
        // What the command calls `--feature`, of several.
        return texts(options::find("feature").unwrap_or(option), value, out);
    }
    match option.form {
        Form::Flag => {
            let flag = value.cast::<PyBool>().map_err(|_| wrong("True or False"))?;
            out.push((key, flag.is_true().to_string()));
        }
        Form::Number(..) => {
            let number = value.cast::<PyInt>().ok().filter(|_| !value.is_instance_of::<PyBool>());
            out.push((key, number.ok_or_else(|| wrong("a number"))?.to_string()));
        }
        Form::Choice(words) => {
            out.push((key, value.extract().map_err(|_| wrong(&words.join(", ")))?));
        }
        Form::Text(placeholder) | Form::Path(placeholder) => {
            let text = match value.cast::<PyTuple>() {
                // shard=(0, 4)
                Ok(pair) if pair.len() == 2 => format!("{}/{}", pair.get_item(0)?, pair.get_item(1)?),
                _ if value.is_instance_of::<PyInt>() => value.to_string(),
                _ => path_or_text(value).map_err(|_| wrong(placeholder))?,
            };
            out.push((key, text));
        }
        Form::Names(_) => match value.cast::<PyString>() {
            Ok(text) => out.push((key, text.to_string())),
            Err(_) => {
                let names: Vec<String> = value.extract().map_err(|_| wrong("a list of names"))?;
                if !names.is_empty() || key == "columns" {
                    out.push((key, names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",")));
                }
            }
        },
        Form::Pairs { sign, .. } => match value.cast::<PyDict>() {
            Ok(pairs) => {
                for (name, value) in pairs {
                    let (name, value): (String, String) = (name.extract()?, value.str()?.extract()?);
                    out.push((key, pair(key, sign, &name, &value)));
                }
            }
            Err(_) => match value.cast::<PyString>() {
                Ok(text) => out.push((key, text.to_string())),
                Err(_) => {
                    for text in value.try_iter().map_err(|_| wrong("a dict"))? {
                        out.push((key, text?.extract().map_err(|_| wrong("a dict"))?));
                    }
                }
            },
        },
        _ => return Err(PyValueError::new_err(format!("{key} cannot be set from Python"))),
    }
    Ok(())
}

/// One pair, as the library reads it.
fn pair(key: &str, sign: char, name: &str, value: &str) -> String {
    match key {
        // A dtype's name means every column of that dtype.
        "cast" if DType::from_name(name).is_some() => format!("{name}:{value}"),
        "rename" => format!("{}={}", quoted(name), quoted(value)),
        "feature" | "store" => format!("{name}{sign}{value}"),
        _ => format!("{}{sign}{value}", quoted(name)),
    }
}

/// A name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text, or an object that stands for a path.
pub(crate) fn path_or_text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.extract() {
        return Ok(text);
    }
    value.py().import("os")?.call_method1("fspath", (value,))?.extract()
}

/// The keys of all options, each with its help, its form and its default.
#[pyfunction]
pub(crate) fn option_table() -> Vec<(&'static str, &'static str, Option<&'static str>)> {
    OPTIONS.iter().map(|option| (option.key, option.help, option.default)).collect()
}

/// Refuses options that there are not, or whose values are of the wrong kind.
#[pyfunction]
pub(crate) fn check_options(options: &Bound<'_, PyDict>) -> PyResult<()> {
    settings(options).map(drop)
}

/// The keys of options that are about an output.
#[pyfunction]
pub(crate) fn writing_options() -> Vec<&'static str> {
    let about = |option: &&OptionInfo| matches!(option.topic, Topic::Writing | Topic::Converting);
    OPTIONS.iter().filter(about).map(|option| option.key).collect()
}

/// A name as it may be shown: of a URL without what may be secret.
#[pyfunction]
pub(crate) fn shown(name: &str) -> String {
    tfarrow::input::shown(name).into_owned()
}

/// Whether `name` is reached with the help of `key`, a key of the option `store`.
#[pyfunction]
pub(crate) fn takes_store_key(name: &str, key: &str) -> bool {
    tfarrow::input::takes_store_key(name.as_ref(), key)
}
