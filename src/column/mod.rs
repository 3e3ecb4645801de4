//! Column builders: values go straight from the wire into Arrow buffers.

#[cfg(feature = "ndarray")]
pub(crate) mod array;
pub(crate) mod assemble;
pub(crate) mod feature;
pub(crate) mod record;
pub(crate) mod values;
