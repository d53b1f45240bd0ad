//! The program as people and scripts use it: real processes of the real binary.

mod support;
