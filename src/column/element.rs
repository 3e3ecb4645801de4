//! Elements
