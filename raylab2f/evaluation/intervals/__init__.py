"""How sure a figure is: bootstrap over objects, corrected t, exact bounds."""
