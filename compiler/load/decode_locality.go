package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) locality() *intent.Locality {
	return &intent.Locality{
		Mode:       c.required("mode").text(),
		Failover:   each(c.elements("failover"), cursor.failover),
		Distribute: each(c.elements("distribute"), cursor.distribution),
		MinCluster: c.optionalNumber("minCluster"),
		At:         c.label(),
	}
}

func (c cursor) failover() *intent.Failover {
	return &intent.Failover{From: c.required("from").text(), To: texts(c.required("to").list()), At: c.label()}
}

func (c cursor) distribution() *intent.Distribution {
	return &intent.Distribution{From: c.required("from").text(), To: each(c.entries("to"), cursor.placeShare), At: c.label()}
}

func (c cursor) placeShare() *intent.PlaceShare {
	return &intent.PlaceShare{Place: c.name(), Percent: c.decimal()}
}
