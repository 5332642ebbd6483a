"""What people work on: tasks, jobs and reviews, and what is carried to and from them."""
