//! The pictures of the report, one file each. Every one is drawn on the server as SVG: nothing runs in the browser.

pub mod curve;
pub mod heat_map;
pub mod interval;
pub mod plate_strip;
