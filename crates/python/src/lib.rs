//! A wheel set to an environment, and what makes the stock cloudify package talk to an agent.
