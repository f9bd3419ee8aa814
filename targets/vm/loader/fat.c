/*
 * Reads files of a FAT32 file system (Microsoft's "FAT File System Specification" 1.03). It is read in earnest rather
 * than by fixed sectors, as whoever edits cmdline.txt may move it.
 */
#include "bios.h"

#define LAST_CLUSTER 0x0ffffff8u
#define CLUSTER_MASK 0x0fffffffu
#define ENTRY_SIZE 32u
#define ATTRIBUTE_VOLUME 8u
#define ATTRIBUTE_FOLDER 16u
#define MAX_CLUSTERS 0x0ffffff0u

static u32 table_sector, data_sector, cluster_sectors, cluster_count, root_cluster;
static u8 sector[SECTOR];  /* of a directory */
static u8 entries[SECTOR]; /* of the table */
static u32 entries_sector;

static u32 number(const u8 *at, u32 bytes)
{
	u32 value = 0;
	while (bytes)
		value = value << 8 | at[--bytes];
	return value;
}

void fat_mount(void)
{
	u32 reserved, tables, table_sectors, sectors;
	disk_read(PARTITION_SECTOR, 1, sector);
	reserved = number(sector + 14, 2);
	tables = sector[16];
	sectors = number(sector + 32, 4);
	table_sectors = number(sector + 36, 4);
	cluster_sectors = sector[13];
	root_cluster = number(sector + 44, 4);
	if (number(sector + 510, 2) != 0xaa55 || number(sector + 11, 2) != SECTOR || number(sector + 22, 2) ||
	    !cluster_sectors || tables > 2 || table_sectors > sectors || reserved + tables * table_sectors >= sectors)
		fail("the disk has no FAT32 partition");
	table_sector = PARTITION_SECTOR + reserved;
	data_sector = table_sector + tables * table_sectors;
	cluster_count = (sectors - reserved - tables * table_sectors) / cluster_sectors;
	if (cluster_count > table_sectors * (SECTOR / 4))
		cluster_count = table_sectors * (SECTOR / 4);
}

static u32 next_cluster(u32 cluster)
{
	u32 at = table_sector + cluster / (SECTOR / 4);
	if (at != entries_sector) {
		disk_read(at, 1, entries);
		entries_sector = at;
	}
	return number(entries + cluster % (SECTOR / 4) * 4, 4) & CLUSTER_MASK;
}

static u32 sector_of(u32 cluster)
{
	if (cluster < 2 || cluster - 2 >= cluster_count)
		fail("the file system is damaged: run fsck.fat");
	return data_sector + (cluster - 2) * cluster_sectors;
}

/* Looks through one sector of a directory. False at the directory's end. */
static bool search(const char *name, struct fat_file *file)
{
	for (const u8 *entry = sector; entry < sector + SECTOR; entry += ENTRY_SIZE) {
		if (!entry[0])
			return false;
		if (entry[11] & (ATTRIBUTE_VOLUME | ATTRIBUTE_FOLDER) || memcmp(entry, name, 11))
			continue;
		file->cluster = number(entry + 20, 2) << 16 | number(entry + 26, 2);
		file->size = number(entry + 28, 4);
		return false;
	}
	return true;
}

bool fat_find(const char *name, struct fat_file *file)
{
	u32 cluster = root_cluster;
	file->cluster = 0;
	for (u32 clusters = 0; cluster < LAST_CLUSTER && clusters < 1024; clusters++) {
		u32 first = sector_of(cluster);
		for (u32 i = 0; i < cluster_sectors; i++) {
			disk_read(first + i, 1, sector);
			if (!search(name, file))
				return file->cluster != 0;
		}
		cluster = next_cluster(cluster);
	}
	return false;
}

void fat_read(const struct fat_file *file, void *to)
{
	u32 left = (u32)(ALIGN_UP((u64)file->size, SECTOR) / SECTOR), cluster = file->cluster;
	u8 *at = to;
	while (left) {
		u32 first = sector_of(cluster), count = 0, last;
		do { /* as far as the clusters follow one another */
			last = cluster;
			count += cluster_sectors;
			cluster = next_cluster(cluster);
		} while (count < left && cluster == last + 1);
		count = count < left ? count : left;
		disk_read(first, count, at);
		at += count * SECTOR;
		left -= count;
	}
}
