//! What the daemon changes of the system, in network namespaces of the tests' own. Needs root.

mod netns;
mod netns_advert;
mod netns_privileges;
mod netns_resolver;
mod netns_routes;
