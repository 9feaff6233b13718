//! Skeleton: drives one sink from its feed.
