// weft in one header: version, tensors, tape, modules, several devices.
#pragma once

#include "weft/version.h"
