//! One torus of a braid: the kernel, the models, the protocol core and the worker process around it.
#![deny(unsafe_code)]

