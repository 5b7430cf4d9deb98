# cmake -P: OUT is IN with the text FIND, which must be there exactly once, replaced by REPLACE. Included by the script that
# sets these four.
file(READ "${IN}" text)
string(FIND "${text}" "${FIND}" first)
string(FIND "${text}" "${FIND}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(FATAL_ERROR "mutants: ${IN} has not exactly one of this text; the code has changed, so change the mutant too:\n${FIND}")
endif()
string(REPLACE "${FIND}" "${REPLACE}" text "${text}")
file(WRITE "${OUT}" "${text}")
