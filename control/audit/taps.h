// SPDX-License-Identifier: BSD-3-Clause
//
// Two taps, one on either side of a box, turned into what entered it and what left it.
//
// A packet that went through is in both, and entered where it was seen first. The clocks need not
// agree: whatever their offset, in a conversation the packets of the one direction come later at
// the outside tap, compared with those of the other. That tells the directions; the least delays of
// both then enclose the offset, and half of their sum is how uncertain it stays.
#pragma once

#include "control/audit/audit.h"

namespace glassbox::audit {

Input from_taps(Capture inside, Capture outside);

}  // namespace glassbox::audit
