"""What happens inside a model: gradients through time, recurrent matrices, memory and attention."""
