//! plandex as a tool for shell scripts: the `.sh` files beside this one, as users would write them
//! for CI, run with dash and with bash.
