//! What records of each kind of message become, as the engine of records asks for it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::column::elwc::ElwcDecoder;
use crate::column::event::EventDecoder;
use crate::column::message::MessageDecoder;
use crate::error::Result;
use crate::schema::elwc::{self as ranking, ElwcPlan};
use crate::schema::event::EventPlan;
use crate::schema::mapping::MappingOptions;
use crate::schema::message::{MessageOptions, MessagePlan};
use crate::schema::{FeaturePlan, Projection};
use crate::source::options::OpenOptions;
use crate::source::records::{RowDecoder, RowPlan};
use crate::tf::descriptor::Files;
use crate::tf::spec::ElementSpec;

/// Messages by their descriptor.
#[derive(Debug)]
pub(super) struct MessageRows {
    pub(super) plan: Arc<MessagePlan>,
    declared: Arc<Files>,
    root: usize,
    source: &'static str,
}

impl MessageRows {
    /// Plans the columns of the message `root` of what is `declared`.
    ///
    /// # Errors
    /// An option does not fit the message.
    pub(super) fn new(
        declared: &Arc<Files>,
        root: usize,
        options: &OpenOptions,
        source: &'static str,
    ) -> Result<Self> {
        let message = MessageOptions {
            mapping: &options.mapping,
            projection: &options.projection,
            class_names: options.class_names,
            defaults: options.proto_defaults,
        };
        let plan = Arc::new(MessagePlan::new(declared, root, message, source)?);
        Ok(Self { plan, declared: declared.clone(), root, source })
    }
}

impl RowPlan for MessageRows {
    fn schema(&self) -> &SchemaRef {
        &self.plan.schema
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.plan.element_spec
    }

    fn decoder(&self, _: usize) -> Result<Box<dyn RowDecoder>> {
        Ok(Box::new(MessageDecoder::new(self.plan.clone())))
    }

    fn project(&self, options: &OpenOptions) -> Result<Arc<dyn RowPlan>> {
        Ok(Arc::new(Self::new(&self.declared, self.root, options, self.source)?))
    }
}

/// Lists of examples with their context.
#[derive(Debug)]
pub(super) struct ElwcRows {
    pub(super) plan: Arc<ElwcPlan>,
    pub(super) source: &'static str,
}

impl RowPlan for ElwcRows {
    fn schema(&self) -> &SchemaRef {
        &self.plan.schema
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.plan.element_spec
    }

    fn decoder(&self, rows: usize) -> Result<Box<dyn RowDecoder>> {
        Ok(Box::new(ElwcDecoder::new(self.plan.clone(), rows)?))
    }

    fn project(&self, options: &OpenOptions) -> Result<Arc<dyn RowPlan>> {
        let OpenOptions { projection, mapping, .. } = options;
        let (context, examples) = ranking::share(&[], projection, mapping);
        let project = |plan: &FeaturePlan, wanted: bool, projection: &Projection| match wanted {
            true => plan.project(projection),
            false => FeaturePlan::new(Vec::new(), &MappingOptions::default(), true, self.source),
        };
        let wants_examples = examples.wanted;
        let context = project(&self.plan.context, context.wanted, &context.projection)?;
        let examples = project(&self.plan.examples, wants_examples, &examples.projection)?;
        let plan = ElwcPlan::new(context, examples, wants_examples, projection, mapping, self.source)?;
        Ok(Arc::new(Self { plan: Arc::new(plan), source: self.source }))
    }
}

/// TensorBoard's events.
#[derive(Debug)]
pub(super) struct EventRows {
    plan: Arc<EventPlan>,
    source: &'static str,
}

impl EventRows {
    /// # Errors
    /// An option does not fit events.
    pub(super) fn new(options: &OpenOptions, source: &'static str) -> Result<Self> {
        let plan = Arc::new(EventPlan::new(&options.mapping, &options.projection, source)?);
        Ok(Self { plan, source })
    }
}

impl RowPlan for EventRows {
    fn schema(&self) -> &SchemaRef {
        &self.plan.schema
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.plan.element_spec
    }

    fn decoder(&self, _: usize) -> Result<Box<dyn RowDecoder>> {
        Ok(Box::new(EventDecoder::new(self.plan.clone())))
    }

    fn project(&self, options: &OpenOptions) -> Result<Arc<dyn RowPlan>> {
        Ok(Arc::new(Self::new(options, self.source)?))
    }
}
