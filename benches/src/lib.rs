//! Speed budgets: each benchmark of this package has the name of the promise it measures.
