"""What goes on inside a model: gradients through time, recurrent matrices, the regulariser Ω."""
