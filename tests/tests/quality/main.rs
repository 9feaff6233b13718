//! The quality module as its users meet it: through the program, with hostile messages, with
//! secrets in every place of a message, on the command line and on live traffic.

mod calls;
mod contracts;
mod hostile;
mod live;
mod once;
mod own;
mod privacy;
mod published;
mod records;
mod runs;
mod secrets;
mod spoilt;
mod validate;
