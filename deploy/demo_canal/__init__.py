"""A day on a canal: the whole gate control of one site on SWMM's canal 1, with what goes wrong on a bad day.

Takes: the extra `sim`.
Gives: indicators on the screen, `build/demo-canal.svg`, exit code 0 only where nothing unsafe happened.
May import: gate control and its simulation, `shared`.
Never: needs a network, a cluster or a device.
"""
