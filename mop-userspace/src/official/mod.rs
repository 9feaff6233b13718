//! Skeleton: the protocol of the official server and of its client.
