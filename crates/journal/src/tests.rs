mod face;
mod model;
mod property;
mod tables;
