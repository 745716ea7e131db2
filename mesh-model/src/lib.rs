//! What the mesh is: parsed, validated, indexed, and seen from one proxy.
