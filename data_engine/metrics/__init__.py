"""Numbers that say how good a model is: detections and labels in, figures out, no model and no database in sight."""
