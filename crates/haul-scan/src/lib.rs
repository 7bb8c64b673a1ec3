//! Live hosts on the local network by ARP, ICMP and the neighbour table.
