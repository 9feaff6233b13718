mod made_up;
mod toolchain;
