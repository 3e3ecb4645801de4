//! The plan of a TFDS dataset: which keys of an example hold its features, and how the columns are
//! put together from them.
//!
//! A feature's key is the path of names that lead to it. Sequences add nothing to the path: what
//! is in one sequence stands, item after item, in one list; deeper sequences have the lengths of
//! their rows beside it. So every key becomes a flat *wire column* first, and the columns of the
//! result are made of these without a copy: lists of structs from lists of their parts.

mod planner;
mod spec;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};

use self::planner::Planner;
use self::spec::{exploded_spec, spec_of};
use super::element::pruned;
use super::mapping::{self, MappingOptions};
use super::{FeaturePlan, Projection, is_under, schema_of, unknown_column};
use crate::error::{Error, Result};
use crate::options::{Phrase, Structure};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::tfds::{Feature, FeatureKind};

/// Field metadata key: the class of the TFDS feature.
const TFDS_FEATURE: &str = "tfds.feature";
/// Columns that exploding adds.
pub(crate) const EPISODE_INDEX: &str = "episode_index";
pub(crate) const STEP_INDEX: &str = "step_index";
pub(crate) const ADDED: [&str; 2] = [EPISODE_INDEX, STEP_INDEX];

/// The choices that the plan leaves to the user, and what else it needs to know.
pub(crate) struct TfdsOptions<'a> {
    pub(crate) mapping: &'a MappingOptions,
    pub(crate) projection: &'a Projection,
    /// Class labels as dictionary columns.
    pub(crate) class_names: bool,
    pub(crate) decode_images: bool,
    /// The sequence whose items become rows.
    pub(crate) explode: Option<&'a str>,
    /// Whether null takes the place of a value that is not what its feature says.
    pub(crate) null_values: bool,
    /// The names of the classes of the label feature whose file is called so.
    pub(crate) labels: &'a dyn Fn(&str) -> Result<Option<Vec<String>>>,
}

/// What a wire column's values are turned into.
#[derive(Debug, Clone)]
pub(crate) enum Transform {
    /// They are what is wanted.
    None,
    /// Numbers of classes become their names.
    ClassNames(ArrayRef),
    /// Lists of values become tensors whose unknown dimension is not the first.
    Reshape { dtype: DType, shape: Shape },
    /// Bytes become tensors; `sizes` is the wire column of their shapes, where they have several
    /// unknown dimensions.
    Raw { dtype: DType, shape: Shape, zlib: bool, sizes: Option<Wire> },
    /// Encoded images become tensors.
    Image { dtype: DType, shape: Shape },
}

/// Where the values of a feature come from.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    /// The wire column of the values.
    pub(crate) values: usize,
    /// The wire columns of the lengths of deeper sequences, the outermost first.
    pub(crate) lengths: Vec<usize>,
    /// The number of sequences around the values.
    pub(crate) rank: usize,
}

/// How a column, or a part of one, is put together.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Leaf {
        path: Arc<str>,
        wire: Wire,
        transform: Transform,
        data_type: DataType,
        keep_nulls: bool,
    },
    /// The frames of a video as one tensor.
    Frames {
        path: Arc<str>,
        wire: Wire,
        dtype: DType,
        shape: Shape,
        data_type: DataType,
    },
    /// Lists; all of this length, if there is one.
    List {
        path: Arc<str>,
        item: Box<Node>,
        field: FieldRef,
        length: Option<u64>,
        fixed: bool,
    },
    Struct {
        fields: Fields,
        children: Vec<Node>,
    },
}

impl Node {
    /// The first of the features that the node is made of.
    pub(crate) fn first_wire(&self) -> Option<&Wire> {
        match self {
            Node::Leaf { wire, .. } | Node::Frames { wire, .. } => Some(wire),
            Node::List { item, .. } => item.first_wire(),
            Node::Struct { children, .. } => children.iter().find_map(Node::first_wire),
        }
    }
}

/// One column of the result.
#[derive(Debug, Clone)]
pub(crate) struct TfdsColumn {
    /// Where it stands among the features.
    pub(crate) path: String,
    pub(crate) node: Node,
    /// Whether it is a part of the exploded sequence, so that its items are rows.
    pub(crate) exploded: bool,
}

/// The plan of a dataset's columns.
#[derive(Debug)]
pub(crate) struct TfdsPlan {
    /// The wire columns.
    pub(crate) wire: Arc<FeaturePlan>,
    pub(crate) columns: Vec<TfdsColumn>,
    /// A feature of the sequence whose items become rows, which says how many there are.
    pub(crate) explode: Option<Wire>,
    /// The columns that are given out, of those that are put together and those that exploding adds;
    /// all if none.
    pub(crate) picked: Option<Vec<usize>>,
    pub(crate) schema: SchemaRef,
    pub(crate) element_spec: ElementSpec,
}

impl TfdsPlan {
    /// The paths of the columns that are put together, and those that exploding adds.
    fn paths(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(|column| column.path.as_str()).chain(ADDED)
    }

    /// Refuses columns that are not given out.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn check_picked(&self, columns: &[&str]) -> Result<()> {
        let Some(picked) = &self.picked else { return Ok(()) };
        let given: Vec<&str> = picked.iter().filter_map(|at| self.paths().nth(*at)).collect();
        match columns.iter().find(|name| !given.iter().any(|path| covers(name, path))) {
            Some(name) => Err(unknown_column(name, &given)),
            None => Ok(()),
        }
    }

    /// The same, of which only the columns at these paths are given out, in this order.
    pub(crate) fn pick(self, columns: &[&str]) -> Self {
        let mut picked: Vec<usize> = Vec::new();
        for name in columns {
            let named = self.paths().enumerate().filter(|(_, path)| covers(name, path)).map(|(at, _)| at);
            picked.extend(named);
        }
        let mut seen = HashSet::new();
        picked.retain(|at| seen.insert(*at));
        let kept: HashSet<usize> = (0..)
            .zip(self.element_spec.components())
            .filter(|(_, (path, _))| columns.iter().any(|name| covers(name, path)))
            .map(|(at, _)| at)
            .collect();
        let element_spec = pruned(&self.element_spec, &mut 0, &kept);
        let fields = picked.iter().filter_map(|at| self.schema.fields().get(*at).cloned());
        let schema = schema_of(&fields.collect::<Vec<_>>(), &element_spec, "tfds");
        Self { picked: Some(picked), schema, element_spec, ..self }
    }

    /// Plans the columns of the features `root`.
    ///
    /// # Errors
    /// An option names a feature that does not exist or does not fit, or a feature cannot be
    /// stored.
    pub(crate) fn new(root: &Feature, options: &TfdsOptions<'_>) -> Result<Self> {
        let root = top_level(root);
        let paths = leaf_paths(&root);
        let names: Vec<&str> = paths.iter().map(String::as_str).collect();
        check_names(&names, options)?;
        let wanted = options.projection.apply(&names)?;
        let order: HashMap<String, usize> =
            wanted.iter().enumerate().filter_map(|(at, i)| Some((paths.get(*i)?.clone(), at))).collect();
        let root = prune(&root, "", &order).unwrap_or_else(|| Feature {
            class: String::new(),
            description: String::new(),
            kind: FeatureKind::Dict(Vec::new()),
        });
        let mut parts = Vec::new();
        flatten(&root, "", "", options, &mut parts);
        parts.sort_by_key(|part| {
            let leaves = leaves_of(part.feature, &part.path);
            leaves.iter().filter_map(|path| order.get(path)).min().copied()
        });
        let mut planner = Planner { options, wire: Vec::new(), keys: HashSet::new() };
        let (mut columns, mut fields, mut explode) = (Vec::new(), Vec::new(), None);
        let mut column_names = HashSet::new();
        for part in &parts {
            let name = options.mapping.column_name(&part.path);
            let planned = planner.plan(name, &part.path, &part.label, part.feature, part.rank, 0)?;
            let Some((field, node)) = planned else { continue };
            if !column_names.insert(name.to_owned()) {
                return Err(Error::config(format!("two columns would be named `{name}`"))
                    .with_hint(Phrase::new("give one of them another name with {rename}")));
            }
            let exploded = part.rank > 0;
            if exploded && explode.is_none() {
                explode = node.first_wire().cloned();
            }
            columns.push(TfdsColumn { path: part.path.clone(), node, exploded });
            fields.push(Arc::new(field));
        }
        let mut element_spec = spec_of(&root, options.decode_images);
        if let Some(path) = options.explode {
            if explode.is_none() {
                return Err(Error::config(format!("no column of `{path}` is left to explode"))
                    .with_hint(Phrase::new("ask for one with {columns}, or leave {explode} out")));
            }
            for name in ADDED {
                if column_names.contains(name) {
                    return Err(Error::config(format!("two columns would be named `{name}`"))
                        .with_hint(Phrase::new("give one of them another name with {rename}")));
                }
                let spec = ElementSpec::tensor(DType::Int64, Shape::scalar());
                let field = mapping::field(name, name, &spec, &MappingOptions::default())?;
                fields.extend(field.map(Arc::new));
            }
            element_spec = exploded_spec(element_spec, path);
        }
        let schema = schema_of(&fields, &element_spec, "tfds");
        let wire = Arc::new(planner.finish());
        Ok(Self { wire, columns, explode, picked: None, schema, element_spec })
    }
}

/// Whether one of a column and what is asked for is a part of the other.
fn covers(name: &str, path: &str) -> bool {
    path == name || is_under(path, name) || is_under(name, path)
}

/// A sequence at the top stands in an example as its parts do, each as a sequence of its own.
fn top_level(root: &Feature) -> Feature {
    let FeatureKind::Sequence { feature, length } = &root.kind else { return root.clone() };
    let FeatureKind::Dict(parts) = &feature.kind else { return root.clone() };
    let sequence = |part: &Feature| Feature {
        class: root.class.clone(),
        description: String::new(),
        kind: FeatureKind::Sequence { feature: Box::new(part.clone()), length: *length },
    };
    let parts = parts.iter().map(|(name, part)| (name.clone(), sequence(part))).collect();
    Feature { kind: FeatureKind::Dict(parts), ..feature.as_ref().clone() }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// The paths of the features that hold values.
fn leaf_paths(root: &Feature) -> Vec<String> {
    leaves_of(root, "")
}

fn leaves_of(feature: &Feature, path: &str) -> Vec<String> {
    match &feature.kind {
        FeatureKind::Dict(parts) => {
            parts.iter().flat_map(|(name, part)| leaves_of(part, &join(path, name))).collect()
        }
        FeatureKind::Sequence { feature, .. } => leaves_of(feature, path),
        _ => vec![path.to_owned()],
    }
}

fn check_names(paths: &[&str], options: &TfdsOptions<'_>) -> Result<()> {
    let is_there = |name: &String| {
        paths
            .iter()
            .any(|path| path == name || path.strip_prefix(name.as_str()).is_some_and(|p| p.starts_with('/')))
    };
    let renamed = options.mapping.rename.iter().map(|(old, _)| old);
    match options.mapping.text_columns().chain(renamed).find(|name| !is_there(name)) {
        Some(name) => Err(unknown_column(name, paths)),
        None => Ok(()),
    }
}

/// The feature without the parts that are not wanted.
fn prune(feature: &Feature, path: &str, wanted: &HashMap<String, usize>) -> Option<Feature> {
    let kind = match &feature.kind {
        FeatureKind::Dict(parts) => {
            let parts: Vec<_> = parts
                .iter()
                .filter_map(|(name, part)| Some((name.clone(), prune(part, &join(path, name), wanted)?)))
                .collect();
            if parts.is_empty() {
                return None;
            }
            FeatureKind::Dict(parts)
        }
        FeatureKind::Sequence { feature, length } => {
            FeatureKind::Sequence { feature: Box::new(prune(feature, path, wanted)?), length: *length }
        }
        other => wanted.contains_key(path).then(|| other.clone())?,
    };
    Some(Feature { kind, ..feature.clone() })
}

/// A feature that becomes a column.
struct Part<'a> {
    path: String,
    /// What its label file is called.
    label: String,
    feature: &'a Feature,
    /// The number of sequences that were taken apart around it.
    rank: usize,
}

fn flatten<'a>(
    feature: &'a Feature,
    path: &str,
    label: &str,
    options: &TfdsOptions<'_>,
    out: &mut Vec<Part<'a>>,
) {
    let part = |feature, rank| Part { path: path.to_owned(), label: label.to_owned(), feature, rank };
    match &feature.kind {
        FeatureKind::Dict(parts) if path.is_empty() || options.mapping.structure == Structure::Flat => {
            for (name, inner) in parts {
                flatten(inner, &join(path, name), &label_of(label, name), options, out);
            }
        }
        FeatureKind::Sequence { feature: inner, .. } if options.explode == Some(path) => match &inner.kind {
            FeatureKind::Dict(_) => {
                let mut inside = Vec::new();
                flatten(inner, path, label, options, &mut inside);
                out.extend(inside.into_iter().map(|part| Part { rank: 1, ..part }));
            }
            _ => out.push(part(inner, 1)),
        },
        _ => out.push(part(feature, 0)),
    }
}

/// What the label file of a part `name` is called.
fn label_of(label: &str, name: &str) -> String {
    let name = name.replace('/', ".");
    if label.is_empty() { name } else { format!("{label}-{name}") }
}
