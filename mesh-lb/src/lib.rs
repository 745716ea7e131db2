//! Where traffic goes: which endpoints a proxy may use, in what order, in what shares.
