package fielddiff

import (
	"fmt"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func (f *flat) accessLog(log model.AccessLog) {
	if log.Off {
		f.add("accessLog", "off", log.Origin)
		return
	}
	if log.To == "" && log.OTLP == nil {
		return // the built-in default
	}
	f.add("accessLog.to", log.To, log.Origin)
	if log.OTLP != nil {
		f.add("accessLog.otlp", log.OTLP.Text(), log.OTLP.Origin)
	}
	f.add("accessLog.text", log.Text, log.Origin)
	for _, field := range log.Fields {
		f.add(at("accessLog.fields", field.Name), field.Value, log.Origin)
	}
	if log.Filter == nil {
		return
	}
	f.logFilter("accessLog.filter", log.Filter, log.Origin)
}

func (f *flat) logFilter(path string, filter *model.LogFilter, origin model.Origin) {
	if filter.MinStatus > 0 {
		f.add(path+".minStatus", fmt.Sprint(filter.MinStatus), origin)
	}
	if filter.MinDuration > 0 {
		f.add(path+".minDuration", filter.MinDuration.String(), origin)
	}
	if filter.ErrorsOnly {
		f.add(path+".errorsOnly", "true", origin)
	}
	if filter.BasisPoints != model.BasisPointsWhole {
		f.add(path+".percent", literal.FormatPercent(filter.BasisPoints), origin)
	}
	if len(filter.Headers) > 0 {
		f.add(path+".headers", matchText([]model.Match{{Headers: filter.Headers}}), origin)
	}
}
