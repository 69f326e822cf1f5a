// Compiled several times, with different flags, into one program (one_program.cpp). -DUNIT=<name> names the copy.
#include "abi/unit.hpp"

#include "abi/small_training.hpp"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char* UNIT::abi() { return TEXT(GRADUS_ABI); }

std::vector<float> UNIT::trained_weights() { return train_small_network().weights; }
