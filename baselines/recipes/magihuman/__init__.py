"""Recipe for daVinci-MagiHuman."""
