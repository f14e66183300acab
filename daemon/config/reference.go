package config

// reference is a table of keys as people read it.
type reference struct{ keys []referenceKey }

type referenceKey struct {
	name, takes, def, doc string
	sub                   *reference
}

func refer[T any](keys []key[T]) *reference {
	ref := &reference{}
	for _, k := range keys {
		ref.keys = append(ref.keys, referenceKey{k.name, k.takes, k.def, k.doc, k.sub})
	}
	return ref
}
