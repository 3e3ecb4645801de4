//! Descriptors, and records of the messages that they describe.

use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::compute::concat_batches;

use super::Input;
use crate::column::elwc::ElwcDecoder;
use crate::column::event::EventDecoder;
use crate::column::message::MessageDecoder;
use crate::error::Result;
use crate::options::Structure;
use crate::schema::Projection;
use crate::schema::elwc::ElwcPlan;
use crate::schema::event::EventPlan;
use crate::schema::feature::FeatureSpec;
use crate::schema::mapping::MappingOptions;
use crate::schema::message::{MessageOptions, MessagePlan};
use crate::schema::{FeaturePlan, infer};
use crate::tf::descriptor::Files;
use crate::tf::elwc as lists;
use crate::tf::event as events;
use crate::tf::example::unsound_example;
use crate::wire::proto::WireError;

/// Messages that are planned of one descriptor, at most.
const PLANNED: usize = 4;

/// `FileDescriptorSet`: every message that it declares can be planned, or is refused.
pub fn descriptor_set(data: &[u8]) {
    if let Ok(files) = Files::from_set(data) {
        plans(&files, 0);
    }
}

/// `.proto` text, alone.
pub fn proto_text(data: &[u8]) {
    if let Ok(files) = Files::from_text("fuzz.proto", data, &mut |_| Ok(None)) {
        plans(&files, 1);
    }
}

fn plans(files: &Files, flags: u8) {
    for root in files.top_level.iter().take(PLANNED) {
        drop(plan(files, *root, flags));
    }
}

fn plan(files: &Files, root: usize, flags: u8) -> Result<MessagePlan> {
    let mut mapping = MappingOptions::default();
    if flags & 1 != 0 {
        mapping.structure = Structure::Nested;
    }
    let options = MessageOptions {
        mapping: &mapping,
        projection: &Projection::default(),
        class_names: flags & 2 != 0,
        defaults: flags & 4 != 0,
    };
    MessagePlan::new(files, root, options, "fuzz")
}

/// Descriptors whose messages cover the mapping.
const SETS: [&[u8]; 4] = [
    include_bytes!("../../tests/golden/messages/two.pb"),
    include_bytes!("../../tests/golden/messages/three.pb"),
    include_bytes!("../../tests/golden/messages/edition.pb"),
    include_bytes!("../../tests/golden/messages/delimited.pb"),
];

/// Records of a message: what is refused leaves no trace, and batches do not depend on where they are
/// cut.
pub fn message(data: &[u8]) {
    let mut input = Input(data);
    let (choice, root, flags) = (input.byte(), input.byte(), input.byte());
    let files = match SETS.get(usize::from(choice)) {
        Some(set) => Files::from_set(set).expect("a golden set"),
        None => match Files::from_set(input.part()) {
            Ok(files) => files,
            Err(_) => return,
        },
    };
    let Some(root) = files.top_level.get(usize::from(root) % files.top_level.len().max(1)) else { return };
    let Ok(plan) = plan(&files, *root, flags) else { return };
    let plan = Arc::new(plan);
    let (mut whole, mut single) = (MessageDecoder::new(plan.clone()), MessageDecoder::new(plan.clone()));
    let (mut rows, mut batches) = (0, Vec::new());
    for record in input.parts() {
        if whole.append(record).is_ok() {
            single.append(record).expect("what was sound before");
            batches.push(checked(single.finish().expect("a batch")));
            rows += 1;
        } else {
            whole.rollback();
        }
        assert_eq!(whole.rows(), rows);
    }
    let whole = checked(whole.finish().expect("a batch"));
    assert_eq!(whole.num_rows(), rows);
    if let Some(first) = batches.first() {
        assert_eq!(concat_batches(&first.schema(), &batches).expect("one batch"), whole);
    }
}

fn checked(batch: RecordBatch) -> RecordBatch {
    for column in batch.columns() {
        column.to_data().validate_full().expect("a sound column");
    }
    batch
}

/// TensorBoard's events.
pub fn event(data: &[u8]) {
    let mut input = Input(data);
    let mut mapping = MappingOptions::default();
    if input.byte() & 1 != 0 {
        mapping.structure = Structure::Nested;
    }
    let plan = Arc::new(EventPlan::new(&mapping, &Projection::default(), "fuzz").expect("all columns"));
    let mut decoder = EventDecoder::new(plan);
    let mut rows = 0;
    for record in input.parts() {
        events::fit(record);
        let values = events::parse(record).map_or(0, |(_, values)| values.len());
        if decoder.append(record).is_ok() {
            rows += values;
        }
        // Short records can hold tensors of many values.
        if decoder.is_full(1 << 24) {
            break;
        }
    }
    assert_eq!(checked(decoder.finish().expect("a batch")).num_rows(), rows);
}

/// Lists of examples: what fits is one, and is inferred and read.
pub fn elwc(data: &[u8]) {
    let records = Input(data).parts();
    let settled = |_: &str| false;
    let inferring = || infer::Inference::new(infer::Lists::Refuse, &settled);
    let (mut contexts, mut examples) = (inferring(), inferring());
    for record in &records {
        lists::fits(record);
        drop(lists::visit(record, |part, _| match part {
            lists::Part::Context(context) => contexts.observe(context).map_err(Refused),
            lists::Part::Example(example) => examples.observe(example).map_err(Refused),
        }));
    }
    let plan_of = |specs: Vec<FeatureSpec>| {
        let specs = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        FeaturePlan::new(specs, &MappingOptions::default(), true, "fuzz")
    };
    let (Ok(context), Ok(examples)) = (plan_of(contexts.finish()), plan_of(examples.finish())) else {
        return;
    };
    let projection = Projection::default();
    let plan = ElwcPlan::new(context, examples, true, &projection, &MappingOptions::default(), "fuzz");
    let Ok(plan) = plan else { return };
    let mut decoder = ElwcDecoder::new(Arc::new(plan), 8).expect("inferred features");
    let mut rows = 0;
    for record in records {
        if decoder.append(record).is_ok() {
            rows += 1;
        } else {
            decoder.rollback();
        }
    }
    assert_eq!(checked(decoder.finish().expect("a batch")).num_rows(), rows);
}

/// An example that an inference refused.
struct Refused(#[expect(dead_code)] crate::error::Error);

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Refused(unsound_example(error))
    }
}
