"""What says how many images of each class there are: folders of images, image lists, and counts per class."""
