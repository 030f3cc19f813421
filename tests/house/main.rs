//! The repository itself: which module may import which, and documents that list files.

mod architecture;
mod tables;
