package lower

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func migration(m *intent.Migration) *model.Migration {
	return &model.Migration{Until: checked(literal.Time(m.Until.V)), Origin: m.At}
}
