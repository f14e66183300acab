// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "github.com/sirupsen/logrus"

var l logrus.FieldLogger
