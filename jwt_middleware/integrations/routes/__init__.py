"""The real routes of an application, in whichever framework it is written."""
