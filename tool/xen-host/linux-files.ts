/** Where a Linux for guests lies in dom0. */
export const linuxKernel = "/root/linux/kernel";
export const linuxRamdisk = "/root/linux/ramdisk";
