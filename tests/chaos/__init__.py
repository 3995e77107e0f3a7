"""What happens when everything goes wrong at once: `make chaos`.

A stranger's fake of the vendors' APIs misbehaves, servers are killed, disks fill up, clocks jump, tools are called
with whatever their schemas admit, and all that was written anywhere is searched for keys and prompts.
"""
